"""Multi-teacher Bayesian knowledge distillation on Pyro: small students that know what they do not know."""

from importlib import import_module
from typing import Any

from mtbkd import features, priors, students, weighting
from mtbkd.data.distillation import DistillationData
from mtbkd.density import Density
from mtbkd.errors import InputError
from mtbkd.fitting import fit
from mtbkd.posterior import Posterior
from mtbkd.prediction import Prediction
from mtbkd.predictor import Predictor
from mtbkd.students.posterior_prior import PosteriorWeights
from mtbkd.students.student import Student
from mtbkd.teachers.bank import TeacherBank

__version__ = "0.1.0"

# Names whose modules need scikit-learn; imported when first asked for, so that torch and Pyro suffice for the rest.
LAZY = {
    "MTBKDClassifier": "mtbkd.estimator",
    "compare": "mtbkd.comparison",
    "evaluate": "mtbkd.evaluation.scores",
}

__all__ = [
    "Density",
    "DistillationData",
    "InputError",
    "MTBKDClassifier",
    "Posterior",
    "PosteriorWeights",
    "Prediction",
    "Predictor",
    "Student",
    "TeacherBank",
    "compare",
    "evaluate",
    "features",
    "fit",
    "priors",
    "students",
    "weighting",
]


def __getattr__(name: str) -> Any:
    if name in LAZY:
        return getattr(import_module(LAZY[name]), name)
    raise AttributeError(f"module 'mtbkd' has no attribute '{name}'")
