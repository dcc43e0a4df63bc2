"""A posterior of ours as a teacher: a student that was distilled before, with its draws."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from mtbkd.data.distillation import DistillationData, Rows
from mtbkd.data.npz import existing
from mtbkd.errors import InputError
from mtbkd.teachers.fingerprint import file_hash, fingerprint
from mtbkd.teachers.teacher import Teacher

VERSION = 1


@dataclass(frozen=True)
class SavedPosteriorConfig:
    """path: folder of a saved posterior (`posterior/` of a run)."""

    path: str


def build(name: str, config: SavedPosteriorConfig, data: DistillationData, seed: int) -> Teacher:
    """The posterior saved at `path`, asked about one row to see that it fits the data."""
    # Stages import from their left only and a posterior is far to the right: it enters as an object that
    # predicts, and only here, where a user names one, is its class looked up.
    from mtbkd.posterior import Posterior

    folder = existing(config.path, f"teacher '{name}': path")
    posterior = Posterior.load(folder)
    files = sorted(path for path in folder.iterdir() if path.is_file())
    identity = fingerprint(
        kind="saved_posterior", version=VERSION, files=[[path.name, file_hash(path)] for path in files]
    )
    teacher = PredictiveTeacher(name, posterior, identity)
    found = teacher.predict(data.pool.take(data.pool.index.new_zeros(1))).shape[-1]
    if found != data.num_classes:
        raise InputError(
            f"teacher '{name}': the posterior at '{folder}' tells {found} classes apart, the data has "
            f"{data.num_classes}; give a posterior of the same classes"
        )
    return teacher


class _Prediction(Protocol):
    @property
    def probs(self) -> Tensor: ...


class Predictive(Protocol):
    """What a teacher needs of a posterior: probabilities `[S, n, K]`, weights of a draw, bytes of all draws."""

    @property
    def num_weights(self) -> int: ...

    @property
    def stored_bytes(self) -> int: ...

    def predict(self, x: Tensor) -> _Prediction: ...


@dataclass(frozen=True)
class PredictiveTeacher:
    """A posterior, ours or another with the same face, as a Bayesian teacher.

    fingerprint: what tells this posterior from another one
    """

    name: str
    predictive: Predictive
    fingerprint: str

    def predict(self, rows: Rows) -> Tensor:
        """log p `[S, n, K]` of every draw."""
        return self.predictive.predict(rows.x).probs.log()

    def size(self) -> tuple[int | None, int | None]:
        return self.predictive.num_weights, self.predictive.stored_bytes
