"""Another member's recipe, spoilt on purpose: whom does a rule of listening still believe?

permuted        its classes exchanged, class k told as pi(k), with pi(k) != k for every k
random          logits from N(0, factor^2), whatever the input; nothing is trained
overconfident   its logits times `factor`
duplicate       the same once more
"""

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtbkd.data.distillation import DistillationData, Rows
from mtbkd.errors import InputError, require_choice, require_positive
from mtbkd.registry import find
from mtbkd.teachers.assembly import checked_member
from mtbkd.teachers.fingerprint import fingerprint, seed_of
from mtbkd.teachers.teacher import Recipe, Teacher, known_by

VERSION = 1
HOW = ("permuted", "random", "overconfident", "duplicate")


@dataclass(frozen=True)
class BrokenConfig:
    """how: one of `HOW`; of: the other member's kind and fields, not needed by `random`; named: its name, on which its
    random numbers depend, null for this one's; factor: of overconfident and random logits."""

    how: str = "permuted"
    of: dict[str, Any] | None = None
    named: str | None = None
    factor: float = 5.0

    def __post_init__(self) -> None:
        require_choice("how", self.how, HOW)
        require_positive(factor=self.factor)
        if self.of is None and self.how != "random":
            raise InputError(f"of is not set; give the kind and fields of the teacher that is {self.how}")


def build(name: str, config: BrokenConfig, data: DistillationData, seed: int) -> Teacher:
    """The spoilt teacher; the other one is trained when it is first asked. Raises `InputError` as its kind does."""
    own_seed = seed_of(seed, name)
    if config.how == "random":
        return RandomTeacher(name, data.num_classes, config.factor, own_seed)
    kind, member = checked_member(f"teachers.members.{name}.of", config.of, [])
    other = find("teacher", kind).build(config.named or name, member, data, seed)
    order = derangement(data.num_classes, own_seed) if config.how == "permuted" else None
    factor = config.factor if config.how == "overconfident" else 1.0
    identity = fingerprint(
        kind="broken",
        version=VERSION,
        how=config.how,
        of=other.fingerprint,
        order=order,
        factor=factor,
    )

    def trained(teacher: Teacher) -> Teacher:
        return BrokenTeacher(name, identity, teacher, order, factor)

    if isinstance(other, Recipe):
        known = told_of(other.known, order)
        return Recipe(name, identity, lambda progress: trained(other.trained(progress)), known=known)
    return trained(other)


@dataclass(frozen=True)
class BrokenTeacher:
    """A teacher whose logits are multiplied, then given to other classes.

    order: `[K]`, what is said of class k is told of class order[k]; None: as they are
    """

    name: str
    fingerprint: str
    of: Teacher
    order: Tensor | None = None
    factor: float = 1.0

    @property
    def known(self) -> tuple[int, ...] | None:
        """The classes that it tells of; None: all."""
        return told_of(known_by(self.of), self.order)

    def predict(self, rows: Rows) -> Tensor:
        """Logits `[n, K]` or `[S, n, K]`, as the other teacher gives them."""
        z = self.of.predict(rows) * self.factor
        if self.order is None:
            return z
        told = torch.empty_like(z)
        told[..., self.order] = z
        return told

    def size(self) -> tuple[int | None, int | None]:
        return self.of.size()


@dataclass(frozen=True)
class RandomTeacher:
    """Logits from N(0, scale^2): a fixed function of the input that has nothing to do with it."""

    name: str
    num_classes: int
    scale: float
    seed: int

    @property
    def fingerprint(self) -> str:
        """Hash of all that it is made of."""
        told = {"classes": self.num_classes, "scale": self.scale, "seed": self.seed}
        return fingerprint(kind="broken", version=VERSION, how="random", **told)

    def predict(self, rows: Rows) -> Tensor:
        """Logits `[n, K]`."""
        z = np.empty((len(rows), self.num_classes), np.float32)
        for i, x in enumerate(np.ascontiguousarray(rows.x.numpy())):
            z[i] = np.random.default_rng([self.seed, zlib.crc32(x)]).standard_normal(self.num_classes)
        return self.scale * torch.from_numpy(z)

    def size(self) -> tuple[int | None, int | None]:
        return 0, 0


def told_of(known: tuple[int, ...] | None, order: Tensor | None) -> tuple[int, ...] | None:
    """The classes that a teacher tells of who knows `known` (None: all) and tells each as class `order` of it."""
    if known is None or order is None:
        return known
    return tuple(sorted(order[list(known)].tolist()))


def derangement(count: int, seed: int) -> Tensor:
    """A random permutation `[count]` that leaves no place as it is, each as likely as any other; count >= 2."""
    rng = np.random.default_rng(seed)
    while True:  # a share of about 1 / e of all permutations is accepted
        order = rng.permutation(count)
        if (order != np.arange(count)).all():
            return torch.from_numpy(order)
