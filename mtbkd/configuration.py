"""From a composed configuration to typed choices, checked before any work."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from mtbkd import registry
from mtbkd.errors import InputError, nearest, require_choice
from mtbkd.inference.engine import EngineConfig
from mtbkd.teachers import TeachersConfig

# Groups whose method's name chooses a module; the others have one configuration.
METHOD_GROUPS = ("data", "weighting", "temperature", "prior", "student", "inference", "report")
# Settings that do not change what a run computes, and so are no part of its identity.
INCIDENTAL = ("fresh", "threads")


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

    def __post_init__(self) -> None:
        require_choice("compile", self.compile, ("auto", "always", "never"))
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}; it must be 0 or more")
        if self.threads != "auto" and not (self.threads.isdigit() and int(self.threads) > 0):
            raise InputError(f"threads is {self.threads}; write a number of at least 1, or auto")


@dataclass(frozen=True)
class RunConfig:
    """All choices of one run, typed; `resolved` is the same as plain data, for run.json and the report."""

    data: Any
    teachers: TeachersConfig
    weighting: Any
    temperature: Any
    prior: Any
    student: Any
    baseline: BaselineConfig
    inference: EngineConfig
    report: Any
    settings: Settings
    methods: dict[str, str]
    resolved: dict[str, Any]

    @property
    def hash(self) -> str:
        """Identity of what the run computes."""
        return hash_of(self.resolved)


def hash_of(resolved: Mapping[str, Any]) -> str:
    """Hash of a resolved configuration less what does not change the result."""
    kept = {key: value for key, value in resolved.items() if key not in INCIDENTAL}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()


def resolve(config: DictConfig) -> RunConfig:
    """Type and check every choice; raises `InputError` naming key, value and the nearest valid one."""
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise InputError(f"{error.full_key} must be given: write {error.full_key}=VALUE") from error
    assert isinstance(plain, dict)
    resolved = {str(key): value for key, value in plain.items() if key != "hydra"}
    chosen: dict[str, Any] = {}
    methods: dict[str, str] = {}
    for group in METHOD_GROUPS:
        node = dict(resolved[group])
        methods[group] = str(node.get("name"))
        wanted = registry.config_class(registry.find(group, methods[group]))
        assert wanted is not None
        chosen[group] = typed(group, wanted, node)
    for group, fixed in (("teachers", TeachersConfig), ("baseline", BaselineConfig)):
        chosen[group] = typed(group, fixed, dict(resolved[group]))
    top = {f.name: resolved[f.name] for f in dataclasses.fields(Settings)}
    settings = typed("", Settings, top)
    return RunConfig(**chosen, settings=settings, methods=methods, resolved=resolved)


def typed(group: str, wanted: type[Any], values: Mapping[str, Any]) -> Any:
    """An instance of the dataclass `wanted` from plain values, with types checked by OmegaConf."""
    fields = [f.name for f in dataclasses.fields(wanted)]
    given = {key: value for key, value in values.items() if key != "name" or "name" in fields}
    where = f"{group}." if group else ""
    for key in given:
        if key not in fields:
            raise InputError(f"{where}{key}: unknown key of {wanted.__name__}; {nearest(key, fields)}")
    try:
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(wanted), given))
    except ConfigKeyError as error:
        raise InputError(
            f"{where}{error.full_key}: unknown key; {nearest(error.full_key, fields)}"
        ) from error
    except OmegaConfBaseException as error:
        key = error.full_key or ""
        meaning = " ".join((wanted.__doc__ or "").split())
        raise InputError(f"{where}{key}: {str(error).splitlines()[0]} ({meaning})") from error
