"""How much each teacher counts at each input, `(bank, labels=None) -> [N, M]`; one file a rule."""

import dataclasses
from typing import Any

from torch import Tensor

from mtbkd.registry import find, names
from mtbkd.teachers.bank import TeacherBank

# `mtbkd.weighting.entropy` is the function, not the module of that name; the module stays in the registry.
globals().update({name: getattr(find("weighting", name), name) for name in names("weighting")})


def weigh(config: Any, bank: TeacherBank, labels: Tensor | None = None) -> Tensor:
    """Weights `[N, M]` by the rule whose configuration `config` is; labels `[N]`, -1 where unknown."""
    name = type(config).__module__.rpartition(".")[2]
    parameters = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    weights: Tensor = getattr(find("weighting", name), name)(bank, labels, **parameters)
    return weights
