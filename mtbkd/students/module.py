"""Any user's network, named by `package.module:factory`."""

import importlib
import inspect
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from mtbkd.errors import InputError, require_at_least, require_choice, require_positive
from mtbkd.students.posterior_prior import POOLS


@dataclass(frozen=True)
class ModuleConfig:
    """factory: `package.module:function` that returns the `nn.Module`; kwargs: its keyword arguments (with
    `input_shape` and `num_classes` added where the function names them); the rest as for every student."""

    name: str = "module"
    factory: str = ""
    kwargs: dict[str, Any] = field(default_factory=dict)
    prior_scale: float = 1.0
    prior_kind: str = "fan_in"
    prior_from: list[str] = field(default_factory=list)
    prior_pool: str = "product"
    prior_widen: float = 1.0
    bayesian: str = "all"

    def __post_init__(self) -> None:
        require_choice("student.prior_kind", self.prior_kind, ("fixed", "fan_in"))
        require_positive(**{"student.prior_scale": self.prior_scale})
        require_choice("student.prior_pool", self.prior_pool, POOLS)
        require_at_least(1, **{"student.prior_widen": self.prior_widen})


def build(config: ModuleConfig, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """Call the factory; raises `InputError` where it is not found or does not return an `nn.Module`."""
    path, _, name = config.factory.partition(":")
    if not path or not name:
        raise InputError(f"student.factory is '{config.factory}'; write package.module:function")
    try:
        factory = getattr(importlib.import_module(path), name)
    except (ImportError, AttributeError) as error:
        raise InputError(f"student.factory '{config.factory}' cannot be imported: {error}") from error
    if not callable(factory):
        raise InputError(f"student.factory '{config.factory}' is not callable; name a function or a class")
    signature = inspect.signature(factory)
    offered = {"input_shape": input_shape, "num_classes": num_classes}
    kwargs = {k: v for k, v in offered.items() if k in signature.parameters} | config.kwargs
    try:
        signature.bind(**kwargs)
    except TypeError as error:
        raise InputError(
            f"student.factory '{config.factory}' cannot be called with student.kwargs {config.kwargs}: {error}"
        ) from error
    network = factory(**kwargs)
    if not isinstance(network, nn.Module):
        raise InputError(
            f"student.factory '{config.factory}' returned {type(network).__name__}; an nn.Module is needed"
        )
    return network
