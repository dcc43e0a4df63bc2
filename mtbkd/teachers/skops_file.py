"""A fitted scikit-learn model from a skops file: a format that names every type it needs and runs no code."""

import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtbkd.data.distillation import DistillationData
from mtbkd.data.npz import existing
from mtbkd.data.table_files import PICKLES
from mtbkd.errors import InputError, require_choice
from mtbkd.teachers.estimator import EstimatorTeacher
from mtbkd.teachers.inputs import INPUTS
from mtbkd.teachers.table_inputs import inputs_of
from mtbkd.teachers.teacher import Teacher

# Types that fitted scikit-learn classifiers hold and skops does not trust by itself. Each was read: they keep
# numbers (and, for trees and neighbours, compiled search structures), none calls what a file names. Functions
# and partials are left out on purpose.
TRUSTED = (
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.RBF",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
)


@dataclass(frozen=True)
class SkopsFileConfig:
    """path: the `.skops` file; classes: whether its classes are `names` of the data's classes or `indices`; inputs:
    `transformed`, `raw`, `table` (the columns that it was fitted to, by name) or `auto`: what it was fitted to, as far
    as it tells (see table_inputs.py); view: of the data that it is shown, null for the student's inputs; trusted:
    further types, by full name, that may be loaded."""

    path: str
    classes: str = "names"
    inputs: str = "auto"
    view: str | None = None
    trusted: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        require_choice("classes", self.classes, ("names", "indices"))
        require_choice("inputs", self.inputs, ("auto", *INPUTS, "table"))


def build(name: str, config: SkopsFileConfig, data: DistillationData, seed: int) -> Teacher:
    """The model in the file, asked about one row to see that it fits the data.

    Raises `InputError` for a missing or truncated file, a type that is not trusted, a model that is not
    fitted or gives no probabilities, other features and other classes.
    """
    path = existing(config.path, f"teacher '{name}': path")
    check_format(name, path)
    estimator = load_skops(path, config.trusted)
    class_names = data.class_names if config.classes == "names" else None
    inputs = config.inputs
    if inputs == "auto":
        inputs = "transformed" if config.view is not None else inputs_of(name, estimator, data)
    teacher = EstimatorTeacher(name, estimator, data.num_classes, class_names, inputs, config.view)
    teacher.predict(data.pool.take(data.pool.index.new_zeros(1)))
    return teacher


def check_format(name: str, path: Path) -> None:
    """Raise `InputError` for a folder, and for a pickle, which is never read."""
    if path.is_dir():
        raise InputError(f"teacher '{name}': '{path}' is a folder; give a file written by skops.io.dump")
    if path.suffix.lower() in PICKLES:
        raise InputError(
            f"teacher '{name}': '{path.name}' is a pickle, which can run any code and is never read; load it where you "
            f"trust it and write it again: skops.io.dump(model, '{path.stem}.skops')"
        )


def load_skops(path: Path, trusted: list[str]) -> Any:
    """The object in a skops file, if it holds only types that skops, `TRUSTED` or `trusted` name.

    Raises `InputError` for other types, for a file that is none, and for a type that is not found here.
    """
    import skops.io

    allowed = {*TRUSTED, *trusted}
    try:
        refused = [t for t in skops.io.get_untrusted_types(file=path) if t not in allowed]
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise InputError(
            f"{path}: not a skops file, or truncated; write it with skops.io.dump(model, path)"
        ) from error
    if refused:
        raise InputError(
            f"{path}: holds types that are not trusted: {', '.join(refused)}; if you know the file's author "
            "and these types, list them in teachers.trusted"
        )
    try:
        return skops.io.load(path, trusted=sorted(allowed))
    except (ImportError, AttributeError, TypeError) as error:
        import sklearn

        raise InputError(
            f"{path}: cannot be loaded ({error}) by scikit-learn {sklearn.__version__} and skops {skops.__version__}; "
            "install the package that the model needs, or dump it again with these versions"
        ) from error
