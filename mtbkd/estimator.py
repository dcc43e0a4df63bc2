"""The scikit-learn face: several classifiers in, one small Bayesian classifier out."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data
from torch import Tensor, nn

from mtbkd import fitting, registry
from mtbkd.data.arrays import from_arrays
from mtbkd.data.class_labels import all_classes, class_codes, is_labelled, labels_of
from mtbkd.data.distillation import DistillationData, hash_inputs
from mtbkd.errors import InputError
from mtbkd.estimator_choices import Choices
from mtbkd.estimator_file import StoredClassifier, read, write
from mtbkd.estimator_hints import build_hints, check_layers
from mtbkd.estimator_inputs import encoded, is_mixed, learn_encoding, with_unlabelled
from mtbkd.estimator_listening import Lesson, listen
from mtbkd.evaluation.scores import Scores, evaluate
from mtbkd.features.transfer import FeatureTransfer
from mtbkd.inference.engine import EngineConfig
from mtbkd.noted_warnings import noted_warnings
from mtbkd.prediction import Prediction
from mtbkd.progress import Progress, TerminalProgress
from mtbkd.rules import Offer, StudentFunction
from mtbkd.students.as_function import as_function
from mtbkd.students.mlp import mlp
from mtbkd.students.skeleton import check_output
from mtbkd.students.student import Student
from mtbkd.students.weight_prior import NormalWeights
from mtbkd.teachers.asking import Shown, teach_and_ask, warn_of_rows_learned
from mtbkd.teachers.given import is_fitted, known_classes, named

# Probabilities of all draws that `predict_proba` holds at once: 64 MB.
CHUNK_ELEMENTS = 16_000_000
# What `save` keeps beside the posterior and the parameters.
FITTED = ("classes_", "n_features_in_", "feature_names_in_", "encoding_", "mean_", "scale_")


class MTBKDClassifier(ClassifierMixin, BaseEstimator):
    """A small Bayesian classifier distilled from several teachers (arXiv 2605.27967), as a scikit-learn estimator.

    teachers: a list, or a dict from name to teacher, of scikit-learn classifiers, torch modules (one logit a class, in
        the order of `classes_`) and `mtbkd.teachers.Teacher` objects, all shown X as it was given (the latter two, of
        a data frame with categories or gaps, the student's inputs); a classifier that is not fitted yet is fitted, as
        a copy, to the labelled rows, and a fitted one used as it is, never fitted again, by clones of this estimator
        too. A classifier that knows some of the classes says nothing of the others; one that was fitted to some of a
        table's columns is shown these. None: the same student from the labels alone
    classes: all class labels, where neither a label nor a fitted scikit-learn teacher shows every one; else None
    weighting: how much a teacher counts at each row: 'entropy', 'uniform', ..., or the rule's configuration
    teacher_temperature: what each teacher's logits are divided by beforehand: 'fixed' (1), 'calibrated', or the rule's
        configuration
    prior: what the teachers say of the student: 'dirichlet_mixture', 'dirichlet_product'
    concentration: pseudo-observations that a teacher is worth at one row; strength: power on the teachers' factor;
        temperature: of teachers and student in it; normalize: 'density', 'peak', 'none' (of the mixture)
    features: 'none', or `mtbkd.features.hints.HintsConfig(layers={teacher: {its layer: the student's layer}})`, by
        which layers of the student are drawn to layers of torch teachers
    hidden: widths of the student's hidden layers; network: in its place, an `nn.Module` from X's columns to one logit
        a class; prior_scale: standard deviation of the weight prior, divided by sqrt(inputs) of the unit
    inference: 'svi', 'map', 'hmc', ..., or an engine's configuration, as `mtbkd.inference.SVIConfig(steps=500)`
    standardize: whether the student sees X less its mean, over its standard deviation, of the fitted rows
    random_state: an int gives the same result each time; device: 'cpu', 'cuda', 'auto'; verbose: progress bars

    Fitted: `classes_`, `n_features_in_`, `feature_names_in_` (of a table), `teachers_` (name to fitted teacher),
    `bank_`, `weights_` `[N, M]`, `prior_` and `hints_` (None without), `posterior_`, `encoding_` (None of numbers
    alone), `mean_` and `scale_` `[D]` (0 and 1 where there is an encoding).
    """

    def __init__(
        self,
        teachers: Any = None,
        *,
        classes: Any = None,
        weighting: Any = "entropy",
        teacher_temperature: Any = "fixed",
        prior: str = "dirichlet_mixture",
        concentration: float = 5.0,
        strength: float = 1.0,
        temperature: float = 1.0,
        normalize: str = "density",
        features: Any = "none",
        hidden: Sequence[int] = (32,),
        network: nn.Module | None = None,
        prior_scale: float = 3.0,
        inference: str | EngineConfig = "svi",
        standardize: bool = True,
        random_state: Any = None,
        device: str = "cpu",
        verbose: bool = False,
    ) -> None:
        self.teachers = teachers
        self.classes = classes
        self.weighting = weighting
        self.teacher_temperature = teacher_temperature
        self.prior = prior
        self.concentration = concentration
        self.strength = strength
        self.temperature = temperature
        self.normalize = normalize
        self.features = features
        self.hidden = hidden
        self.network = network
        self.prior_scale = prior_scale
        self.inference = inference
        self.standardize = standardize
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def __sklearn_clone__(self) -> Self:
        # scikit-learn would unfit the teachers, and a cross-validation train them again; fit() changes none of them.
        params = {k: clone(v, safe=False) for k, v in self.get_params(deep=False).items() if k != "teachers"}
        return type(self)(teachers=self.teachers, **params)

    # ---- fitting ---------------------------------------------------------------------------------------------
    def fit(self, X: ArrayLike, y: ArrayLike, held_out: tuple[ArrayLike, ArrayLike] | None = None) -> Self:
        """Distil teachers and labels into a posterior over the weights of a student.

        X: `[N, D]` numbers, an array or a table, not sparse; or a data frame with categories and gaps too, which is
            encoded for the student (`encoding_`): numbers standardised, their gaps filled by the median, categories
            one-hot. scikit-learn teachers are shown it as it is
        y: `[N]` class labels, -1 where unlabelled (beside labels that are text: an array of dtype object), or missing,
            in a data frame's column. All -1 is pure distillation, from fitted teachers. A class that is itself called
            -1 must be named otherwise.
        held_out: X and y of rows that no teacher was trained on, of which some weightings and temperatures learn what
            the teachers are worth ('stacking', 'accuracy', 'learned', 'best'; 'calibrated'); the student never sees
            them. Teachers that are fitted here see the labelled rows of X alone
        Raises `InputError`, or scikit-learn's ValueError, for what cannot be learned from, before any training.
        """
        with noted_warnings() as warned:
            lesson = self._learn(X, y, held_out)
        self._lesson = dataclasses.replace(lesson, warned=tuple(warned))
        return self

    def _learn(self, X: Any, y: Any, held_out: Any) -> Lesson:
        teachers = named(self.teachers)
        self.encoding_ = learn_encoding(X, self.standardize) if is_mixed(X) else None
        values, column = self._numbers(X, with_unlabelled(y), reset=True)
        targets = labels_of(column[is_labelled(column)])
        self.classes_ = all_classes(targets, self._taught(teachers), self.classes)
        codes = class_codes(column, self.classes_)
        if not (teachers or len(targets)):
            raise InputError("y labels no row and there are no teachers; give labels, teachers or both")
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self._standardise(values)
        x = self._inputs(values)
        data = from_arrays(x, codes, class_names=[str(label) for label in self.classes_], name="X")
        choices = Choices.of(self.get_params(deep=False))
        choices.check_held_out(teachers, held_out)
        fitting.pick_device(self.device)
        student = self._student(x, None)
        check_layers(choices.features, teachers, student, data.pool)
        shown = {"pool": Shown.of(X, values, codes)}
        if held_out is not None:
            shown["held_out"] = self._held_out(held_out, len(values))
            warn_of_rows_learned(teachers, shown["pool"], shown["held_out"])

        self.bank_ = self.weights_ = self.prior_ = self.hints_ = heard = None
        self.teachers_: dict[str, Any] = {}
        if teachers:
            self.teachers_, banks = teach_and_ask(teachers, shown, targets, self.classes_.tolist(), seed)
            banks["pool"] = dataclasses.replace(banks["pool"], rows_hash=hash_inputs(x))
            labels = {part: rows.rows.y for part, rows in shown.items()}
            heard = listen(choices, banks, labels, self._offer(x, data, seed))
            self.bank_, self.weights_ = heard.bank, heard.weights.teachers
            self.prior_ = registry.find("prior", self.prior).build(choices.prior, heard.bank, heard.weights)
            self.hints_ = build_hints(choices.features, self.teachers_, heard.bank, shown["pool"].rows)
            student = self._student(x, self.prior_, self.hints_)
        self.posterior_ = fitting.fit(
            student, data, choices.inference, seed=seed, device=self.device, progress=bool(self.verbose)
        )
        return Lesson(data, heard, seed, tuple(name for name, one in teachers.items() if is_fitted(one)))

    def _taught(self, teachers: dict[str, Any]) -> dict[str, list[Any]]:
        """The class labels that each teacher which is already fitted knows."""
        return {name: known_classes(teacher) for name, teacher in teachers.items() if is_fitted(teacher)}

    def _held_out(self, held_out: Any, first: int) -> Shown:
        """Held-out rows, checked as X and y are; numbered from `first`."""
        if not (isinstance(held_out, tuple | list) and len(held_out) == 2):
            raise InputError(f"held_out is of type {type(held_out).__name__}; give a pair, held_out=(X, y)")
        values, column = self._numbers(held_out[0], with_unlabelled(held_out[1]))
        return Shown.of(held_out[0], values, class_codes(column, self.classes_, "held_out y"), first)

    def _numbers(self, X: Any, y: Any, reset: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """X as numbers `[n, D]` and y as an array `[n]`, checked as scikit-learn does; reset: in the fit itself."""
        if self.encoding_ is None:
            values, column = validate_data(self, X, y, reset=reset, dtype=np.float64)
            return values, column
        if reset:
            validate_data(self, X, skip_check_array=True)
        check_consistent_length(X, y)
        return encoded(self.encoding_, X), column_or_1d(y, warn=True)

    def _standardise(self, X: np.ndarray) -> None:
        self.mean_, self.scale_ = np.zeros(X.shape[1]), np.ones(X.shape[1])
        if self.standardize and self.encoding_ is None:
            scaler = StandardScaler().fit(X)
            self.mean_, self.scale_ = scaler.mean_, scaler.scale_

    def _inputs(self, X: np.ndarray) -> Tensor:
        """What the student sees, `[N, D]` float32."""
        return torch.from_numpy(((X - self.mean_) / self.scale_).astype(np.float32))

    def _student(self, x: Tensor, prior: Any, hints: FeatureTransfer | None = None) -> Student:
        network = self.network
        if network is None:
            network = mlp(x.shape[1], [int(width) for width in self.hidden], len(self.classes_))
        elif not isinstance(network, nn.Module):
            raise InputError(f"network is of type {type(network).__name__}; give an nn.Module, or None")
        weight_prior = NormalWeights(self.prior_scale, "fan_in")
        student = Student(network, prior, strength=self.strength, weight_prior=weight_prior, hints=hints)
        check_output(student.skeleton, x, len(self.classes_))
        return student

    def _offer(self, x: Tensor, data: DistillationData, seed: int) -> Offer:
        """What rules of listening may ask for beside the labels."""

        def student() -> StudentFunction:
            influence = self.strength * self.concentration
            return as_function(self._student(x, None), data, influence, self.temperature, seed)

        return Offer(student=student, seed=seed, progress=TerminalProgress() if self.verbose else Progress())

    # ---- predicting ------------------------------------------------------------------------------------------
    def predict_distribution(self, X: ArrayLike) -> Prediction:
        """Posterior draws of the class probabilities, `.probs [S, N, K]`, with their uncertainties and intervals."""
        return self.posterior_.predict(self._checked(X))

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Posterior mean of the class probabilities, `[N, K]`, in the order of `classes_`."""
        x = self._checked(X)
        draws = self.posterior_.num_chains * self.posterior_.num_draws
        size = max(1, CHUNK_ELEMENTS // (draws * len(self.classes_)))
        means = [self.posterior_.predict(part).probs.double().mean(0) for part in x.split(size)]
        probs = torch.cat(means)
        return (probs / probs.sum(-1, keepdim=True)).numpy()

    def predict(self, X: ArrayLike) -> np.ndarray:
        """The most probable class label under the posterior mean, `[N]`."""
        most_probable = self.predict_proba(X).argmax(-1)
        return self.classes_[most_probable]

    def _checked(self, X: ArrayLike) -> Tensor:
        check_is_fitted(self)
        if self.encoding_ is not None:
            return self._inputs(encoded(self.encoding_, X))
        return self._inputs(validate_data(self, X, reset=False, dtype=np.float64))

    # ---- telling ---------------------------------------------------------------------------------------------
    def evaluate(self, X: ArrayLike, y: ArrayLike) -> Scores:
        """Accuracy, NLL, Brier score and calibration of the student at rows with labels, as `mtbkd.evaluate` has them;
        raises `InputError` for a label that is no class."""
        shown = self._shown(X, y)
        return evaluate(self.posterior_.predict(self._checked(X)), shown.rows.y)

    def report(self, X: ArrayLike, y: ArrayLike, path: str | Path, *, compare: bool = True) -> Path:
        """Write one self-contained HTML page, as a run's: student and teachers at rows that none of them was fitted to.

        X, y: as in `fit`; path: of the page, replaced if it exists; returns it
        compare: fit the student without teachers and the one without a posterior too, to compare with: the time of a
            fit each
        Raises `InputError` where there are no teachers, no labels, only what `load` read, or no folder to write to.
        """
        from mtbkd.estimator_report import Fitted, check_place, write

        check_is_fitted(self)
        check_place(Path(path))
        lesson = getattr(self, "_lesson", None)
        if lesson is None or self.prior_ is None:
            raise InputError(
                "report: there are no teachers, which a report compares the student with; "
                + ("call it before saving" if lesson is None else "give teachers, or call evaluate(X, y)")
            )
        x, parameters = self._checked(X), self.get_params(deep=False)
        defaults = type(self)().get_params(deep=False)
        fitted = Fitted(
            parameters=parameters,
            changed={k: v for k, v in parameters.items() if k != "teachers" and v is not defaults[k]},
            classes=self.classes_.tolist(),
            choices=Choices.of(parameters),
            teachers=self.teachers_,
            lesson=lesson,
            prior=self.prior_,
            student=self._student(lesson.data.pool.x, self.prior_, self.hints_),
            label_only=self._student(lesson.data.pool.x, None),
            posterior=self.posterior_,
        )
        return write(Path(path), fitted, self._shown(X, y), x, compare)

    def _shown(self, X: Any, y: Any) -> Shown:
        check_is_fitted(self)
        values, column = self._numbers(X, with_unlabelled(y))
        known = len(self._lesson.data.pool) if hasattr(self, "_lesson") else 0
        return Shown.of(X, values, class_codes(column, self.classes_), known)

    # ---- on disk ---------------------------------------------------------------------------------------------
    def save(self, path: str | Path) -> None:
        """Write a folder with `posterior/` and `estimator.json`, all at once or not at all: what it takes to predict.

        The teachers stay behind, all but their names, so that a loaded classifier predicts but is not fitted again.
        Raises `InputError` where `path` is a folder that holds anything else.
        """
        check_is_fitted(self)
        fitted = {name: getattr(self, name) for name in FITTED if hasattr(self, name)}
        parameters = self.get_params(deep=False) | {"teachers": self._teacher_names()}
        write(Path(path), StoredClassifier(self.posterior_, fitted, parameters))

    def _teacher_names(self) -> list[str] | None:
        # A loaded classifier has their names where the teachers were.
        return list(getattr(self, "teachers_", self.teachers) or ()) or None

    @classmethod
    def load(cls, path: str | Path, network: nn.Module | None = None) -> Self:
        """Read what `save` wrote; predicts the same to the bit, without teachers.

        network: needed where the student's network was the user's own
        Raises `InputError` for a missing or damaged file, or another network.
        """
        stored = read(Path(path), network)
        loaded = cls(**{**stored.parameters, "network": network})
        for name, value in stored.fitted.items():
            setattr(loaded, name, value)
        loaded.posterior_ = stored.posterior
        return loaded
