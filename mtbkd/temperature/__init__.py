"""What each teacher's logits are divided by, `(bank, labels=None, ...) -> [M]` or `[M, N]`; one file a rule."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mtbkd.registry import find, names
from mtbkd.rules import Offer, apply
from mtbkd.teachers.bank import TeacherBank

# `mtbkd.temperature.fixed` is the function, not the module of that name; the module stays in the registry.
globals().update({name: getattr(find("temperature", name), name) for name in names("temperature")})


def temperatures(
    config: Any, bank: TeacherBank, labels: Tensor | None = None, offer: Offer | None = None
) -> Tensor:
    """Temperatures `[M]`, or `[M, N]` where they are each row's own, by the rule whose configuration `config` is.

    labels: `[N]` of the bank's rows, -1 where unknown
    """
    found: Tensor = apply("temperature", config, bank, labels, offer or Offer())
    return found


def temper(config: Any, banks: Mapping[str, TeacherBank], tau: Tensor) -> dict[str, TeacherBank]:
    """Every split's bank at its temperatures: tau `[M]`, or, where each row of the pool has its own (`[M, N]`), those
    that the rule `config` finds on that split.

    banks: by split, 'pool' among them, whose temperatures `tau` are
    """
    if tau.dim() == 1:
        return {split: bank.tempered(tau) for split, bank in banks.items()}
    found = {split: tau if split == "pool" else temperatures(config, banks[split]) for split in banks}
    return {split: bank.tempered(found[split]) for split, bank in banks.items()}
