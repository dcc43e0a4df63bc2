"""What a rule of listening (a temperature, a weighting) may ask for: it names what it needs, and is given that.

    rule(bank, labels=None, held_out=None, student=None, seed=0, progress=None, **fields of its Config)

Most rules name only the bank. Only tensors and functions of tensors are handed over, so that no rule knows the student.
"""

import dataclasses
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mtbkd import registry
from mtbkd.data.distillation import check_labels
from mtbkd.errors import InputError
from mtbkd.progress import Progress
from mtbkd.teachers.bank import TeacherBank


@dataclass(frozen=True)
class HeldOut:
    """The teachers at rows that none of them was trained on.

    bank: the same teachers at those rows; labels: `[n]` of those rows, -1 where unlabelled
    """

    bank: TeacherBank
    labels: Tensor

    def known(self, rule: str, bank: TeacherBank) -> "HeldOut":
        """The labelled rows; raises `InputError` for other teachers than `bank` has, and where none is labelled."""
        if self.bank.names != bank.names or len(self.labels) != self.bank.num_rows:
            raise InputError(
                f"{rule}: held-out teachers {', '.join(self.bank.names)} with {self.bank.num_rows} rows and "
                f"{len(self.labels)} labels; give the bank's teachers ({', '.join(bank.names)}) and one label a row"
            )
        check_labels(rule, self.labels, bank.num_classes)
        rows = (self.labels >= 0).nonzero().flatten()
        if not len(rows):
            raise needs_held_out(rule)
        return HeldOut(self.bank.take(rows), self.labels[rows])


def held_out_rows(rule: str, bank: TeacherBank, held_out: HeldOut | None) -> HeldOut:
    """Labelled rows that no teacher was trained on; raises `InputError` where there are none, with the mend."""
    if held_out is None:
        raise needs_held_out(rule)
    return held_out.known(rule, bank)


def needs_held_out(rule: str) -> InputError:
    """What a rule says that needs labels which no teacher has seen."""
    return InputError(
        f"{rule}: there is no labelled held-out row; give validation rows with labels that no teacher was trained "
        "on (in a run data.validation_fraction or a split column; fit(X, y, held_out=(X, y)) of a classifier; "
        "held_out=HeldOut(bank, labels) of the rule), or choose another rule"
    )


@dataclass(frozen=True)
class StudentFunction:
    """The student as a function of its flat weights, for rules that learn with it.

    x: `[N, ...]` the pool; logits: `(theta [D], x [n, ...]) -> [n, K]`; log_prior: `theta [D] -> []`
    start: `[D]`; influence: strength * concentration, what the teachers' loss counts; temperature: tau of student and
    teachers in that loss
    """

    x: Tensor
    logits: Callable[[Tensor, Tensor], Tensor]
    log_prior: Callable[[Tensor], Tensor]
    start: Tensor
    influence: float
    temperature: float = 1.0


@dataclass(frozen=True)
class Offer:
    """What a rule can be given. student: makes the function, only if a rule asks for it."""

    held_out: HeldOut | None = None
    student: Callable[[], StudentFunction] | None = None
    seed: int = 0
    progress: Progress = field(default_factory=Progress)


def apply(group: str, config: Any, bank: TeacherBank, labels: Tensor | None, offer: Offer) -> Any:
    """What the rule of `group` whose configuration `config` is says of a bank, given what it names of the offer."""
    rule = rule_of(group, config)
    wanted = inspect.signature(rule).parameters
    given: dict[str, Any] = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    for key in ("held_out", "seed", "progress"):
        if key in wanted:
            given[key] = getattr(offer, key)
    if "student" in wanted:
        if offer.student is None:
            raise InputError(
                f"{group} '{rule.__name__}' learns with the student; use it in a run (mtbkd {group}={rule.__name__}), "
                "or give it student=StudentFunction(...)"
            )
        given["student"] = offer.student()
    return rule(bank, labels, **given)


def rule_of(group: str, config: Any) -> Callable[..., Any]:
    """The rule of `group` whose configuration `config` is."""
    name = type(config).__module__.rpartition(".")[2]
    rule: Callable[..., Any] = getattr(registry.find(group, name), name)
    return rule


def asks_held_out(group: str, config: Any) -> bool:
    """Whether the rule of `group` whose configuration `config` is learns from held-out labels."""
    return "held_out" in inspect.signature(rule_of(group, config)).parameters


def check_held_out(group: str, config: Any, held_out: Any) -> None:
    """Raise `InputError` where the rule is going to ask for held-out labels and there are none: before any training."""
    if held_out is None and asks_held_out(group, config):
        raise needs_held_out(f"{group} '{rule_of(group, config).__name__}'")


def generator_of(seed: int) -> torch.Generator:
    """A rule's own source of chance."""
    return torch.Generator().manual_seed(seed)
