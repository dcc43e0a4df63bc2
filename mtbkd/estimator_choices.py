"""What the classifier's parameters choose: configurations of methods, by name or as they were given."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self

from mtbkd import registry
from mtbkd.errors import InputError
from mtbkd.rules import check_held_out


@dataclass(frozen=True)
class Choices:
    """Configurations of the methods; of the rules of listening, of the prior, of the hints, of the engine."""

    temperature: Any
    weighting: Any
    prior: Any
    features: Any
    inference: Any

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Self:
        """Those that the classifier's `parameters` name; raises `InputError` for what is no choice."""
        return cls(
            temperature=config_of("temperature", parameters["teacher_temperature"], "teacher_temperature"),
            weighting=config_of("weighting", parameters["weighting"]),
            prior=prior_of(parameters),
            features=config_of("features", parameters["features"]),
            inference=config_of("inference", parameters["inference"]),
        )

    def check_held_out(self, teachers: Collection[str], held_out: Any) -> None:
        """Raise `InputError` where a rule will ask for held-out labels and there are none: before any training."""
        if teachers:
            check_held_out("temperature", self.temperature, held_out)
        if len(teachers) > 1:  # one alone has weight 1
            check_held_out("weighting", self.weighting, held_out)


def config_of(group: str, value: Any, what: str | None = None) -> Any:
    """A method's configuration, from its name or as it was given; raises `InputError` for anything else.

    what: the parameter's name, where it is not the group's
    """
    if isinstance(value, str):
        return registry.default_config(group, value)
    if type(value) in [type(registry.default_config(group, name)) for name in registry.names(group)]:
        return value
    raise InputError(
        f"{what or group} is {value!r:.60}; give one of {', '.join(registry.names(group))}, or the configuration of one"
    )


def prior_of(parameters: Mapping[str, Any]) -> Any:
    """The prior's configuration: its name and those of its settings that are parameters of the classifier."""
    name, normalize = parameters["prior"], parameters["normalize"]
    if not isinstance(name, str):
        raise InputError(f"prior is {name!r:.60}; give one of {', '.join(registry.names('prior'))}")
    default = registry.default_config("prior", name)
    settings = {key: parameters[key] for key in ("concentration", "strength", "temperature")}
    if hasattr(default, "normalize"):
        settings["normalize"] = normalize
    elif normalize != "density":
        raise InputError(f"normalize is '{normalize}', which prior '{name}' does not have; leave it out")
    return type(default)(**settings)
