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


def temper(
    config: Any, banks: Mapping[str, TeacherBank], labels: Tensor | None = None, offer: Offer | None = None
) -> dict[str, TeacherBank]:
    """Every split's bank at its temperatures: those found on the pool, or, where each row has its own, on that split.

    banks: by split, 'pool' among them; labels: `[N]` of the pool
    """
    tau = temperatures(config, banks["pool"], labels, offer)
    if tau.dim() == 1:
        return {split: bank.tempered(tau) for split, bank in banks.items()}
    found = {split: tau if split == "pool" else temperatures(config, banks[split]) for split in banks}
    return {split: bank.tempered(found[split]) for split, bank in banks.items()}
