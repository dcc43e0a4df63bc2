"""scikit-learn classifiers as teachers: trained by the run, or brought by the user."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtbkd.data.distillation import DistillationData, Rows
from mtbkd.data.labels import label_name
from mtbkd.errors import InputError, nearest, require_choice
from mtbkd.teachers.coverage import known_of
from mtbkd.teachers.estimator_size import size_of_estimator
from mtbkd.teachers.fingerprint import fingerprint, library, seed_of
from mtbkd.teachers.inputs import chosen_inputs
from mtbkd.teachers.shares import check_share, training_rows
from mtbkd.teachers.table_inputs import columns_of, mend_of
from mtbkd.teachers.teacher import Recipe, Teacher

VERSION = 1
# Module and class: nothing else can be named from a configuration.
ESTIMATORS = {
    "random_forest": ("sklearn.ensemble", "RandomForestClassifier"),
    "extra_trees": ("sklearn.ensemble", "ExtraTreesClassifier"),
    "gradient_boosting": ("sklearn.ensemble", "HistGradientBoostingClassifier"),
    "logistic_regression": ("sklearn.linear_model", "LogisticRegression"),
    "svc": ("sklearn.svm", "SVC"),
    "mlp": ("sklearn.neural_network", "MLPClassifier"),
    "knn": ("sklearn.neighbors", "KNeighborsClassifier"),
    "gaussian_nb": ("sklearn.naive_bayes", "GaussianNB"),
}


@dataclass(frozen=True)
class EstimatorConfig:
    """estimator: one of `ESTIMATORS`; params: its scikit-learn parameters; share: interval of the pool; classes: names
    of those that it is trained on, empty for all; view: of the data that it is shown, null for the student's inputs."""

    estimator: str = "random_forest"
    params: dict[str, Any] = field(default_factory=dict)
    share: list[float] = field(default_factory=lambda: [0.0, 1.0])
    classes: list[str] = field(default_factory=list)
    view: str | None = None

    def __post_init__(self) -> None:
        require_choice("estimator", self.estimator, ESTIMATORS)
        check_share(self.share)


def build(name: str, config: EstimatorConfig, data: DistillationData, seed: int) -> Teacher:
    """The recipe of a scikit-learn classifier trained on its share of the pool, whose classes are those it knows.

    `svc` is `CalibratedClassifierCV(SVC(**params), ensemble=False)`, which gives probabilities.
    Raises `InputError` for parameters that the classifier does not have or does not take.
    """
    estimator = _unfitted(name, config, seed)
    x, y = training_rows(name, data, config.share, seed, config.classes, config.view)
    if config.estimator == "svc":
        estimator = _calibrated_svc(name, estimator, y, data.class_names)
    identity = fingerprint(
        kind="estimator",
        version=VERSION,
        library=library("scikit-learn"),
        estimator=config.estimator,
        params=config.params,
        seed=seed_of(seed, name),
        x=x,
        y=y,
        classes=data.num_classes,
        view=config.view,
    )
    untrained = EstimatorTeacher(name, estimator, data.num_classes, view=config.view)
    return Recipe(
        name,
        identity,
        lambda progress: untrained.fit(x, y),
        known=known_of(y.tolist(), data.num_classes),
    )


def _unfitted(name: str, config: EstimatorConfig, seed: int) -> Any:
    import importlib

    module, class_name = ESTIMATORS[config.estimator]
    estimator = getattr(importlib.import_module(module), class_name)()
    known = estimator.get_params()
    for parameter in config.params:
        if parameter not in known:
            raise InputError(
                f"teacher '{name}': {class_name} has no parameter '{parameter}'; {nearest(parameter, known)}"
            )
    random = {"random_state": seed_of(seed, name)} if "random_state" in known else {}
    estimator.set_params(**{**random, **config.params})
    try:
        # The check that fit() starts with: made here, before any teacher is trained.
        estimator._validate_params()
    except ValueError as error:
        raise InputError(f"teacher '{name}': {error}") from error
    return estimator


def _calibrated_svc(name: str, svc: Any, y: Tensor, class_names: Sequence[str]) -> Any:
    from sklearn.calibration import CalibratedClassifierCV

    classes, counts = y.unique(return_counts=True)
    fewest = int(counts.argmin())
    if counts[fewest] < 2:
        raise InputError(
            f"teacher '{name}': class '{class_names[int(classes[fewest])]}' has one example in its share, an svc "
            "needs two to be calibrated; widen the share or choose another estimator"
        )
    return CalibratedClassifierCV(svc, ensemble=False, cv=min(5, int(counts[fewest])))


@dataclass(frozen=True)
class EstimatorTeacher:
    """A scikit-learn classifier as a teacher; call `fit` first where it is not fitted yet.

    num_classes: K; of classes that the estimator never saw it says nothing (`known` are the others)
    class_names: K names, where the estimator's own classes are names; None where they are indices 0..K-1
    inputs: `transformed` (what networks see), `raw` (as they were before any transformation), or `table` (the columns
        that it was fitted to, by name)
    view: other inputs of the same rows that it is shown, None: x
    """

    name: str
    estimator: Any
    num_classes: int
    class_names: tuple[str, ...] | None = None
    inputs: str = "transformed"
    view: str | None = None

    def fit(self, x: Tensor | np.ndarray, y: Tensor | np.ndarray) -> "EstimatorTeacher":
        """This teacher with a copy of its estimator fitted to inputs `[n, ...]` and labels `[n]`."""
        from sklearn.base import clone

        fitted = clone(self.estimator).fit(np.asarray(x).reshape(len(x), -1), np.asarray(y))
        return replace(self, estimator=fitted)

    @property
    def fingerprint(self) -> str:
        """Hash of the fitted estimator's state."""
        import joblib

        return fingerprint(
            kind="estimator",
            version=VERSION,
            library=library("scikit-learn"),
            state=joblib.hash(self.estimator),
            classes=self.class_names or self.num_classes,
            inputs=self.inputs,
            view=self.view,
        )

    @property
    def known(self) -> tuple[int, ...] | None:
        """Indices of the classes that the fitted estimator saw; None: all."""
        return known_of(self._columns(), self.num_classes)

    def predict(self, rows: Rows) -> Tensor:
        """Log-probabilities `[n, K]`, -inf for classes that it never saw; raises as `log_probs`."""
        if self.inputs == "table":
            return self.log_probs(columns_of(self.name, rows, self.estimator))
        source = chosen_inputs(self.name, rows, self.inputs, self.view)
        return self.log_probs(source.reshape(len(source), -1) if source.ndim > 1 else source)

    def log_probs(self, x: Any) -> Tensor:
        """Log-probabilities `[n, K]` at inputs as the estimator itself takes them: array, table, texts.

        Raises `InputError` where the estimator is not fitted, gives no probabilities, or was fitted to
        other features or classes.
        """
        if not hasattr(self.estimator, "classes_"):
            raise InputError(
                f"teacher '{self.name}': {type(self.estimator).__name__} is not fitted; "
                "fit it, or call fit(x, y) of the teacher"
            )
        if not hasattr(self.estimator, "predict_proba"):
            raise InputError(
                f"teacher '{self.name}': {type(self.estimator).__name__} gives no probabilities; "
                "wrap it in CalibratedClassifierCV(..., ensemble=False)"
            )
        columns = self._columns()
        self._check_features(x)
        try:
            with np.errstate(divide="ignore"):  # log 0 = -inf is what is meant
                if hasattr(self.estimator, "predict_log_proba"):
                    log_p = np.asarray(self.estimator.predict_log_proba(x))
                else:
                    log_p = np.log(self.estimator.predict_proba(x))
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(
                f"teacher '{self.name}': {type(self.estimator).__name__} fails on these inputs: "
                f"{' '.join(str(error).split()):.200}; {mend_of(str(error))}"
            ) from error
        z = torch.full((len(log_p), self.num_classes), -torch.inf)
        z[:, columns] = torch.from_numpy(log_p).to(torch.float32)
        return z

    def size(self) -> tuple[int | None, int | None]:
        return size_of_estimator(self.estimator)

    def _check_features(self, x: Any) -> None:
        shape = np.shape(x)
        wanted = getattr(self.estimator, "n_features_in_", None)
        if len(shape) > 1 and wanted is not None and shape[1] != wanted:
            raise InputError(
                f"teacher '{self.name}': fitted to {wanted} features, the inputs have {shape[1]}; "
                "give it the inputs that it was trained on"
            )

    def _columns(self) -> list[int]:
        classes = np.asarray(self.estimator.classes_).tolist()
        columns = range(self.num_classes) if self.class_names is None else self.class_names
        position = {str(c): k for k, c in enumerate(columns)}
        written = [str(c) if str(c) in position else label_name(c) for c in classes]
        for c in written:
            if c not in position:
                mend = (
                    f"fit it to class indices 0..{self.num_classes - 1}"
                    if self.class_names is None
                    else f"{nearest(c, position)}; where it was fitted to their places 0..{self.num_classes - 1}, say "
                    "classes: indices"
                )
                raise InputError(
                    f"teacher '{self.name}': its class '{c}' is not among the data's classes; {mend}"
                )
        return [position[c] for c in written]
