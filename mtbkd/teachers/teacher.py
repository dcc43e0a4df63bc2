"""What a teacher is: something that turns rows into logits, and can say who it is without doing so."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast, runtime_checkable

from torch import Tensor

from mtbkd.data.distillation import Rows
from mtbkd.errors import InputError
from mtbkd.progress import Progress


class NotCovered(InputError):
    """A teacher that is a set of predictions has none for these rows; an error only where they are needed."""


class Teacher(Protocol):
    """A trained classifier, or the recipe of one that the run trains when its predictions are not cached.

    name: how reports call it
    fingerprint: hash of weights or recipe and of the code's version; known without training or predicting
    """

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    def predict(self, rows: Rows) -> Tensor:
        """Logits `[n, K]`, or draws `[S, n, K]` of a Bayesian teacher (a log-probability may be -inf)."""
        ...

    def size(self) -> tuple[int | None, int | None]:
        """Number of parameters (of one draw) and bytes when stored (of all); None where it cannot be known."""
        ...


@runtime_checkable
class HasLayers(Protocol):
    """What a teacher is besides, that can tell what its layers give.

    layers: paths of its layers, known without training
    """

    @property
    def layers(self) -> tuple[str, ...]: ...

    def features(self, rows: Rows, layers: Sequence[str]) -> dict[str, Tensor]:
        """What the named layers give, each `[n, F]`; of several networks, the first one's, as units of different
        networks do not correspond and their mean would be nobody's."""
        ...


@runtime_checkable
class Partial(Protocol):
    """What a teacher is besides, that may not know all classes.

    known: indices of the classes that it knows, None: all. Whatever it predicts of the others, it says nothing of them
    """

    @property
    def known(self) -> tuple[int, ...] | None: ...


def known_by(teacher: Teacher) -> tuple[int, ...] | None:
    """Indices of the classes that a teacher knows; None: all."""
    return teacher.known if isinstance(teacher, Partial) else None


@dataclass(frozen=True)
class Recipe:
    """A teacher that is trained, once, when it is first asked something that the cache does not hold.

    train: returns the trained teacher, telling progress; depends on nothing that `fingerprint` does not tell
    layers: paths of its layers where it can tell what they give; known: the classes that it learns, None: all
    """

    name: str
    fingerprint: str
    train: Callable[[Progress], Teacher]
    layers: tuple[str, ...] = ()
    known: tuple[int, ...] | None = None
    _kept: list[Teacher] = field(default_factory=list, init=False, repr=False, compare=False)

    def trained(self, progress: Progress | None = None) -> Teacher:
        """The teacher; trained now if it is not yet."""
        if not self._kept:
            self._kept.append(self.train(progress or Progress()))
        return self._kept[0]

    def predict(self, rows: Rows) -> Tensor:
        return self.trained().predict(rows)

    def features(self, rows: Rows, layers: Sequence[str]) -> dict[str, Tensor]:
        return cast(HasLayers, self.trained()).features(rows, layers)

    def size(self) -> tuple[int | None, int | None]:
        return self.trained().size()
