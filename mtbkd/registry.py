"""Methods found by name: `conf/GROUP/NAME.yaml` is the choice, `mtbkd/PACKAGE/NAME.py` the code.

A method module holds one frozen dataclass named `*Config` and the function its group asks for:

    group        package               function
    data         mtbkd.data            load(config, seed) -> DistillationData
    augmentation mtbkd.augmentation    <name>(config, data, rng) -> Rows, which join the pool
    teacher      mtbkd.teachers        build(name, config, data, seed) -> Teacher     (by `kind`)
    temperature  mtbkd.temperature     <name>(bank, labels=None, ...) -> [M] or [M, N]     (see mtbkd/rules.py)
    weighting    mtbkd.weighting       <name>(bank, labels=None, ...) -> [N, M] or Weights (see mtbkd/rules.py)
    prior        mtbkd.priors          build(config, bank, weights) -> Prior
    features     mtbkd.features        build(config, bank) -> FeatureTransfer | None     (asked: `config.pairs`)
    student      mtbkd.students        build(config, input_shape, num_classes) -> nn.Module
    inference    mtbkd.inference       sample(...) (see mtbkd/inference/engine.py)
    report       mtbkd.report          write_report(path, content)
    tracking     mtbkd.tracking        build(config, shared) -> Tracker

Adding a method is one such file, one YAML and one test; nothing else changes.
"""

import dataclasses
import importlib
import pkgutil
from types import ModuleType
from typing import Any

from mtbkd.errors import InputError, nearest

PACKAGES = {
    "data": "mtbkd.data",
    "augmentation": "mtbkd.augmentation",
    "teacher": "mtbkd.teachers",
    "temperature": "mtbkd.temperature",
    "weighting": "mtbkd.weighting",
    "prior": "mtbkd.priors",
    "features": "mtbkd.features",
    "student": "mtbkd.students",
    "inference": "mtbkd.inference",
    "report": "mtbkd.report",
    "tracking": "mtbkd.tracking",
}


def config_class(module: ModuleType) -> type[Any] | None:
    """The one dataclass named `*Config` that `module` itself defines, or None."""
    found = [
        value
        for name, value in vars(module).items()
        if name.endswith("Config") and dataclasses.is_dataclass(value) and value.__module__ == module.__name__
    ]
    if len(found) > 1:
        raise TypeError(f"{module.__name__} defines {len(found)} Config classes; a method has one")
    return found[0] if found else None  # type: ignore[return-value]


def names(group: str) -> list[str]:
    """Names of the methods of `group`: the modules of its package that define a `*Config`."""
    package = importlib.import_module(PACKAGES[group])
    modules = (info.name for info in pkgutil.iter_modules(package.__path__))
    return sorted(m for m in modules if config_class(importlib.import_module(f"{PACKAGES[group]}.{m}")))


def find(group: str, name: str) -> ModuleType:
    """The module of method `name`; raises `InputError` naming the nearest valid one."""
    if name.isidentifier():
        path = f"{PACKAGES[group]}.{name}"
        try:
            module = importlib.import_module(path)
        except ModuleNotFoundError as error:
            if error.name != path:
                raise
        else:
            if config_class(module):
                return module
    raise InputError(f"{group}: unknown method '{name}'; {nearest(name, names(group))}")


def default_config(group: str, name: str) -> Any:
    """The configuration of method `name` with its defaults."""
    config = config_class(find(group, name))
    assert config is not None
    return config()
