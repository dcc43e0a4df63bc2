"""Students: networks, priors on their weights, and the Pyro model."""

from mtbkd.students.cnn import cnn
from mtbkd.students.mlp import mlp
from mtbkd.students.posterior_prior import PosteriorWeights
from mtbkd.students.student import Student
from mtbkd.students.weight_prior import NormalWeights

__all__ = ["NormalWeights", "PosteriorWeights", "Student", "cnn", "mlp"]
