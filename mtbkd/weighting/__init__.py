"""How much each teacher counts at each input, `(bank, labels=None, ...) -> [N, M]` or `Weights`; one file a rule."""

from typing import Any

from torch import Tensor

from mtbkd.registry import find, names
from mtbkd.rules import Offer, apply
from mtbkd.teachers.bank import TeacherBank
from mtbkd.weighting.weights import Weights

# `mtbkd.weighting.entropy` is the function, not the module of that name; the module stays in the registry.
globals().update({name: getattr(find("weighting", name), name) for name in names("weighting")})


def weigh(
    config: Any, bank: TeacherBank, labels: Tensor | None = None, offer: Offer | None = None
) -> Weights:
    """Weights by the rule whose configuration `config` is; labels `[N]` of the pool, -1 where unknown.

    Raises `InputError` where the rule needs what is not offered, as labels that no teacher was trained on.
    """
    return Weights.of(apply("weighting", config, bank, labels, offer or Offer()))
