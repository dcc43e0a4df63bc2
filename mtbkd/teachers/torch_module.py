"""torch modules as teachers: the user's own object, or a factory by name with weights in safetensors."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mtbkd.data.distillation import DistillationData, Rows
from mtbkd.data.npz import existing
from mtbkd.errors import InputError, nearest, require_at_least, require_choice
from mtbkd.layer_outputs import features_of, layer_paths
from mtbkd.teachers.coverage import Columns
from mtbkd.teachers.fingerprint import fingerprint, library, seed_of
from mtbkd.teachers.inputs import INPUTS, chosen_inputs
from mtbkd.teachers.module_identity import identity_of_module
from mtbkd.teachers.teacher import Teacher
from mtbkd.teachers.torch_factory import load_weights, made_by_factory

VERSION = 1
_DROPOUT = (
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
)


@dataclass(frozen=True)
class TorchModuleConfig:
    """factory: `package.module:function` (or `:Class.method`) returning an `nn.Module`; kwargs: its arguments;
    weights: safetensors file, null where the factory loads them itself; batch_size: rows at once;
    dropout_draws: 0, or the number of draws with dropout left on; output: attribute of the result that holds the
    logits, null where it is the result; argument: keyword by which the module takes its inputs, null for the
    first position; inputs: `transformed` or `raw`; classes: names of its outputs' classes, null for one left out,
    null for the data's, in order; view: of the data that it is shown, null for the student's inputs."""

    factory: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    weights: str | None = None
    batch_size: int = 256
    dropout_draws: int = 0
    output: str | None = None
    argument: str | None = None
    inputs: str = "transformed"
    classes: list[Any] | None = None
    view: str | None = None

    def __post_init__(self) -> None:
        require_at_least(1, batch_size=self.batch_size)
        require_at_least(0, dropout_draws=self.dropout_draws)
        require_choice("inputs", self.inputs, INPUTS)


def build(name: str, config: TorchModuleConfig, data: DistillationData, seed: int) -> Teacher:
    """The module of the factory with its weights, asked about one row to see that it fits the data.

    Raises `InputError` where the factory cannot be imported or called, the weights are of another module, or
    the outcome is not logits `[n, K]`, or `[n, C]` of C classes named.
    """
    what = f"teacher '{name}'"
    columns = None if config.classes is None else Columns.named(what, config.classes, data.class_names)
    own_seed = seed_of(seed, name)
    module = made_by_factory(name, config.factory, config.kwargs, own_seed)
    if config.weights is not None:
        load_weights(name, module, existing(config.weights, f"teacher '{name}': weights"))
    teacher = TorchTeacher(
        name,
        module,
        batch_size=config.batch_size,
        dropout_draws=config.dropout_draws,
        output=config.output,
        argument=config.argument,
        inputs=config.inputs,
        seed=own_seed,
        columns=columns,
        view=config.view,
    )
    found = teacher.predict(data.pool.take(data.pool.index.new_zeros(1))).shape[-1]
    if found != data.num_classes:
        raise InputError(
            f"teacher '{name}': {config.factory} gives {found} classes, the data has {data.num_classes}; "
            "give the factory the number of classes in kwargs, or name its own in classes"
        )
    return teacher


@dataclass(frozen=True)
class TorchTeacher:
    """A trained torch module as a teacher; its training mode is left as it was found.

    dropout_draws: 0 for a point teacher, else the number of draws `[S, n, K]` with dropout left on (Gal and
    Ghahramani 2016), everything else in evaluation mode
    output: attribute of the module's result that holds the logits; argument: keyword of its inputs
    inputs: `transformed` or `raw`; seed: of dropout
    columns: what its outputs are, where they are not the data's classes in order
    view: other inputs of the same rows that it is shown, None: x
    """

    name: str
    module: nn.Module
    batch_size: int = 256
    dropout_draws: int = 0
    output: str | None = None
    argument: str | None = None
    inputs: str = "transformed"
    seed: int = 0
    columns: Columns | None = None
    view: str | None = None

    @property
    def known(self) -> tuple[int, ...] | None:
        """Indices of the classes that it knows; None: all."""
        return None if self.columns is None else self.columns.known

    @property
    def fingerprint(self) -> str:
        """Hash of the module's layers, code and weights, and of how it is asked."""
        return fingerprint(
            kind="torch_module",
            version=VERSION,
            library=library("torch"),
            module=identity_of_module(self.module),
            asked=[self.dropout_draws, self.output, self.argument, self.inputs],
            seed=self.seed if self.dropout_draws else None,
            columns=None if self.columns is None else self.columns.classes,
            view=self.view,
        )

    def predict(self, rows: Rows) -> Tensor:
        """Logits `[n, K]`, or `[dropout_draws, n, K]`, -inf for classes that it does not know.

        Raises `InputError` where the result is not logits or dropout is asked of a module that has none.
        """
        z = self._answers(rows)
        return z if self.columns is None else self.columns.spread(f"teacher '{self.name}'", z)

    def _answers(self, rows: Rows) -> Tensor:
        """What the module itself gives."""
        x = self._tensor(chosen_inputs(self.name, rows, self.inputs, self.view))
        dropouts = [m for m in self.module.modules() if isinstance(m, _DROPOUT) and m.p > 0]
        if self.dropout_draws and not dropouts:
            raise InputError(
                f"teacher '{self.name}': dropout_draws is {self.dropout_draws}, but the module has no dropout "
                "layer; use dropout_draws 0"
            )
        with evaluation_mode(self.module), torch.no_grad():
            if not self.dropout_draws:
                return self._logits(x)
            for layer in dropouts:
                layer.train()
            with torch.random.fork_rng([x.device] if x.is_cuda else []):
                torch.manual_seed(self.seed)  # dropout draws from the global generator
                return torch.stack([self._logits(x) for _ in range(self.dropout_draws)])

    @property
    def layers(self) -> tuple[str, ...]:
        """Paths of the module's layers."""
        return layer_paths(self.module)

    def features(self, rows: Rows, layers: Sequence[str]) -> dict[str, Tensor]:
        """What the named layers give, `[n, F]` each, in evaluation mode (without dropout)."""
        x = self._tensor(chosen_inputs(self.name, rows, self.inputs, self.view))
        with evaluation_mode(self.module):
            return features_of(self.module, x.split(self.batch_size), layers, self.argument)

    def size(self) -> tuple[int | None, int | None]:
        parameters = list(self.module.parameters())
        return sum(p.numel() for p in parameters), sum(p.numel() * p.element_size() for p in parameters)

    def _tensor(self, inputs: np.ndarray) -> Tensor:
        if inputs.dtype.kind not in "biuf":
            raise InputError(
                f"teacher '{self.name}': the raw inputs are {inputs.dtype}, not numbers; choose inputs: transformed"
            )
        x = torch.as_tensor(inputs)
        x = x.float() if x.dtype == torch.uint8 else x  # pixels, which no layer takes as bytes
        parameter = next(self.module.parameters(), None)
        return x if parameter is None else x.to(parameter.device)

    def _logits(self, x: Tensor) -> Tensor:
        return torch.cat([self._batch(batch) for batch in x.split(self.batch_size)])

    def _batch(self, x: Tensor) -> Tensor:
        result = self.module(**{self.argument: x}) if self.argument else self.module(x)
        if self.output is not None:
            if not hasattr(result, self.output):
                fields = [field for field in dir(result) if not field.startswith("_")]
                raise InputError(
                    f"teacher '{self.name}': its result, a {type(result).__name__}, has no '{self.output}'; "
                    f"{nearest(self.output, fields)}"
                )
            result = getattr(result, self.output)
        if not isinstance(result, Tensor) or result.ndim != 2 or len(result) != len(x):
            what = f"shape {tuple(result.shape)}" if isinstance(result, Tensor) else type(result).__name__
            raise InputError(
                f"teacher '{self.name}': its result is {what}, not logits [{len(x)}, K]; "
                "name the attribute that holds them in `output`"
            )
        return result.float().cpu()


@dataclass(frozen=True)
class TorchEnsembleTeacher:
    """Several trained torch modules as one Bayesian teacher: a draw each; columns and view as of `TorchTeacher`."""

    name: str
    modules: Sequence[nn.Module]
    batch_size: int = 256
    output: str | None = None
    columns: Columns | None = None
    view: str | None = None

    def __post_init__(self) -> None:
        if not self.modules:
            raise InputError(f"teacher '{self.name}': no modules; give at least one")

    @property
    def fingerprint(self) -> str:
        """Hash of all members' structures and weights, and of how they are asked."""
        return fingerprint(kind="torch_ensemble", members=[member.fingerprint for member in self._members])

    @property
    def known(self) -> tuple[int, ...] | None:
        """Indices of the classes that it knows; None: all."""
        return self._members[0].known

    def predict(self, rows: Rows) -> Tensor:
        """Logits `[S, n, K]`, S modules."""
        return torch.stack([member.predict(rows) for member in self._members])

    @property
    def layers(self) -> tuple[str, ...]:
        """Paths of the first module's layers."""
        return self._members[0].layers

    def features(self, rows: Rows, layers: Sequence[str]) -> dict[str, Tensor]:
        """What the first module's layers give, `[n, F]` each."""
        return self._members[0].features(rows, layers)

    def size(self) -> tuple[int | None, int | None]:
        sizes = [member.size() for member in self._members]
        return sizes[0][0], sum(stored or 0 for _, stored in sizes)

    @property
    def _members(self) -> list[TorchTeacher]:
        return [
            TorchTeacher(
                self.name, m, self.batch_size, output=self.output, columns=self.columns, view=self.view
            )
            for m in self.modules
        ]


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """The module in evaluation mode; afterwards each of its layers is in the mode it was in before."""
    modes = [(layer, layer.training) for layer in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for layer, training in modes:
            layer.training = training
