"""From a composed configuration to typed choices, checked before any work."""

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from mtbkd import registry
from mtbkd.errors import InputError, nearest, require_choice
from mtbkd.inference.engine import EngineConfig
from mtbkd.objective import objectives
from mtbkd.teachers import TeachersConfig

# Groups whose method's name chooses a module; the others have one configuration.
METHOD_GROUPS = (
    "data",
    "augmentation",
    "weighting",
    "temperature",
    "prior",
    "features",
    "student",
    "inference",
    "report",
    "tracking",
)
# Settings and groups that do not change what a run computes, and so are no part of its identity.
INCIDENTAL = ("fresh", "threads", "teachers.cache", "objective", "tracking")


@dataclass(frozen=True)
class BaselineConfig:
    """Which students a run fits to compare with: without teachers, and without a posterior."""

    name: str = "both"
    label_only_student: bool = True
    kd_student: bool = True


@dataclass(frozen=True)
class Settings:
    """The top keys."""

    seed: int = 0
    device: str = "cpu"
    threads: str = "auto"
    compile: str = "auto"
    fresh: bool = False
    objective: Any = "validation.student.nll"

    def __post_init__(self) -> None:
        require_choice("compile", self.compile, ("auto", "always", "never"))
        objectives(self.objective)
        if not 0 <= self.seed < 2**32:
            raise InputError(f"seed is {self.seed}; it must lie between 0 and {2**32 - 1}")
        if self.threads != "auto" and not (self.threads.isdecimal() and int(self.threads) > 0):
            raise InputError(f"threads is {self.threads}; write a number of at least 1, or auto")


FIXED_GROUPS = {"teachers": TeachersConfig, "baseline": BaselineConfig}
SETTINGS = tuple(f.name for f in dataclasses.fields(Settings))


@dataclass(frozen=True)
class RunConfig:
    """All choices of one run, typed; `resolved` is the same as plain data, for run.json and the report."""

    data: Any
    augmentation: Any
    teachers: TeachersConfig
    weighting: Any
    temperature: Any
    prior: Any
    features: Any
    student: Any
    baseline: BaselineConfig
    inference: EngineConfig
    report: Any
    tracking: Any
    settings: Settings
    methods: dict[str, str]
    resolved: dict[str, Any]

    @property
    def hash(self) -> str:
        """Identity of what the run computes: hash of the configuration less what is incidental."""
        kept = {key: value for key, value in flatten(self.resolved).items() if not incidental(key)}
        return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()


def resolve(config: DictConfig) -> RunConfig:
    """Type and check every choice; raises `InputError` naming key, value and the nearest valid one."""
    resolved = plain(config)
    known = (*METHOD_GROUPS, *FIXED_GROUPS, *SETTINGS)
    for key in resolved:
        if key not in known:
            raise InputError(f"{key}: unknown key; {nearest(key, known)}")
    chosen: dict[str, Any] = {}
    methods: dict[str, str] = {}
    for group in METHOD_GROUPS:
        node = group_of(resolved, group)
        methods[group] = str(node.get("name"))
        wanted = registry.config_class(registry.find(group, methods[group]))
        assert wanted is not None
        chosen[group] = typed(group, wanted, node)
    for group, wanted in FIXED_GROUPS.items():
        chosen[group] = typed(group, wanted, group_of(resolved, group))
    settings = typed("", Settings, {key: resolved[key] for key in SETTINGS if key in resolved})
    return RunConfig(**chosen, settings=settings, methods=methods, resolved=resolved)


def plain(config: DictConfig) -> dict[str, Any]:
    """The configuration as plain data, interpolations resolved; raises `InputError` for a value that is missing."""
    try:
        content = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise InputError(f"{error.full_key} must be given: write {error.full_key}=VALUE") from error
    except OmegaConfBaseException as error:
        raise InputError(f"{error.full_key}: {str(error).splitlines()[0]}; write a value") from error
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def group_of(resolved: Mapping[str, Any], group: str) -> dict[str, Any]:
    """The settings of a group; raises `InputError` where none is chosen."""
    node = resolved.get(group)
    if not isinstance(node, dict):
        valid = f"; valid: {', '.join(registry.names(group))}" if group in METHOD_GROUPS else ""
        raise InputError(f"{group} is {shown(node)}, not a choice; write {group}=NAME{valid}")
    return node


def typed(group: str, wanted: type[Any], values: Mapping[str, Any]) -> Any:
    """An instance of the dataclass `wanted` from plain values, each of its field's type.

    Raises `InputError` for unknown keys, for values of another type, and for what the dataclass refuses.
    """
    kinds = typing.get_type_hints(wanted)
    given = {key: value for key, value in values.items() if key != "name" or "name" in kinds}
    where = f"{group}." if group else ""
    merged = OmegaConf.structured(wanted)
    for key, value in given.items():
        if key not in kinds:
            raise InputError(f"{where}{key}: unknown key; {nearest(key, kinds)}")
        try:
            merged = OmegaConf.merge(merged, {key: value})
        except (ConfigKeyError, OmegaConfBaseException) as error:
            raise InputError(f"{where}{key} is {shown(value)}; it must be {described(kinds[key])}") from error
    try:
        return OmegaConf.to_object(merged)
    except InputError as error:
        told = str(error)
        if not group or told.startswith(where):
            raise
        starts_with_key = any(told.startswith(f"{key} ") or told.startswith(f"{key}:") for key in kinds)
        raise InputError(f"{where}{told}" if starts_with_key else f"{group}: {told}") from error


def shown(value: object) -> str:
    """A value as a user would write it."""
    return f"'{value}'" if isinstance(value, str) else json.dumps(value, default=str)


def described(kind: Any) -> str:
    """A field's type in words."""
    simple = {int: "a whole number", float: "a number", bool: "true or false", str: "text", Any: "anything"}
    if kind in simple:
        return simple[kind]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        one_of = [described(a) for a in arguments if a is not types.NoneType]
        return " or ".join(one_of) + (" or null" if types.NoneType in arguments else "")
    if origin is list:
        each = {int: "whole numbers, as [32,16]", float: "numbers, as [0,0.5]", str: "texts, as [a,b]"}
        return f"a list of {each.get(arguments[0], 'values, as [a,b]')}"
    return "a mapping, as {key: value}" if origin is dict else str(kind)


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Dotted keys in which two configurations differ, incidental ones aside."""
    a, b = flatten(one), flatten(other)
    absent = object()
    return [
        key for key in sorted({*a, *b}) if not incidental(key) and a.get(key, absent) != b.get(key, absent)
    ]


def incidental(key: str) -> bool:
    """Whether what a dotted key says does not change what a run computes."""
    return any(key == name or key.startswith(f"{name}.") for name in INCIDENTAL)


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
