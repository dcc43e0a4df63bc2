"""What a teacher is: something that turns rows into logits, and can say who it is without doing so."""

from typing import Protocol

from torch import Tensor

from mtbkd.data.distillation import Rows


class Teacher(Protocol):
    """A trained classifier, or the recipe of one that the run trains when its predictions are not cached.

    name: how reports call it
    fingerprint: hash of weights or recipe and of the code's version; known without training or predicting
    """

    name: str

    @property
    def fingerprint(self) -> str: ...

    def predict(self, rows: Rows) -> Tensor:
        """Logits `[n, K]`, or draws `[S, n, K]` of a Bayesian teacher (a log-probability may be -inf)."""
        ...

    def size(self) -> tuple[int | None, int | None]:
        """Number of parameters and bytes when stored; None where it cannot be known."""
        ...
