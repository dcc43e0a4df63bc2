"""What each teacher's logits are divided by, `(bank, held_out, labels) -> [M]`; one file a rule."""

import dataclasses
from typing import Any

from torch import Tensor

from mtbkd.registry import find, names
from mtbkd.teachers.bank import TeacherBank

# `mtbkd.temperature.fixed` is the function, not the module of that name; the module stays in the registry.
globals().update({name: getattr(find("temperature", name), name) for name in names("temperature")})


def temperatures(
    config: Any, bank: TeacherBank, held_out: TeacherBank | None = None, labels: Tensor | None = None
) -> Tensor:
    """Temperatures `[M]` by the rule whose configuration `config` is, for `bank.tempered`.

    held_out, labels: the teachers at held-out rows and those rows' labels `[N]`, for rules that need them.
    """
    name = type(config).__module__.rpartition(".")[2]
    parameters = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    found: Tensor = getattr(find("temperature", name), name)(bank, held_out, labels, **parameters)
    return found
