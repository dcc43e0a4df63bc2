"""How a built-in network is built again from what is stored beside its posterior: name, configuration, shapes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from mtbkd import registry
from mtbkd.errors import InputError


@dataclass(frozen=True)
class NetworkSpec:
    """name: method of the group `student`; config: its fields; input_shape: of one input; num_classes: K."""

    name: str
    config: dict[str, Any]
    input_shape: tuple[int, ...]
    num_classes: int

    @classmethod
    def of(cls, network: nn.Module) -> "NetworkSpec | None":
        """The specification a built-in network carries, None for a user's own."""
        spec = getattr(network, "spec", None)
        return spec if isinstance(spec, cls) else None

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "NetworkSpec":
        """Raises `InputError` where the stored specification is incomplete or names code to run."""
        if stored.get("name") == "module":
            # Reading a file must not import and call what the file names.
            raise InputError(
                "the stored network is made by a factory; call it yourself and pass network= to load"
            )
        try:
            shape = tuple(int(n) for n in stored["input_shape"])
            return cls(str(stored["name"]), dict(stored["config"]), shape, int(stored["num_classes"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"stored network specification is damaged ({error}); pass network= to load"
            ) from error

    def build(self) -> nn.Module:
        """The network; its weights are fresh, and the global generator is left as it was."""
        module = registry.find("student", self.name)
        config_class = registry.config_class(module)
        assert config_class is not None
        try:
            config = config_class(**self.config)
        except TypeError as error:
            raise InputError(
                f"stored network specification is damaged ({error}); pass network= to load"
            ) from error
        with torch.random.fork_rng():
            network: nn.Module = module.build(config, self.input_shape, self.num_classes)
        return network
