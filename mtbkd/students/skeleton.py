"""A torch network as a pure function of its weights: what makes any `nn.Module` a student."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from mtbkd.errors import InputError
from mtbkd.layer_outputs import capturing

RANDOM_RATE = (nn.RNNBase, nn.MultiheadAttention, nn.Transformer)


class Skeleton:
    """The network without weights of its own: `skeleton(weights, x) -> logits [n, K]`.

    module: a private copy in eval mode. shapes: parameter name -> shape, in the module's order.
    Raises `InputError` for a network with BatchNorm or dropout, whose likelihood depends on the batch or on chance.
    """

    def __init__(self, module: nn.Module) -> None:
        refuse_batch_and_chance(module)
        self.module = copy.deepcopy(module).requires_grad_(False).eval()
        self.shapes = {name: parameter.shape for name, parameter in self.module.named_parameters()}
        if not self.shapes:
            raise InputError(
                f"network {type(module).__name__} has no parameters; a student needs some to learn"
            )
        self.buffers = dict(self.module.named_buffers())

    def __call__(self, weights: dict[str, Tensor], x: Tensor) -> Tensor:
        # Buffers follow the inputs: a float64 or CUDA density runs on a module that was made in float32 on the CPU.
        buffers = {
            name: b.to(x.device, x.dtype if b.is_floating_point() else b.dtype)
            for name, b in self.buffers.items()
        }
        return functional_call(self.module, {**buffers, **weights}, (x,))

    def with_layers(
        self, weights: dict[str, Tensor], x: Tensor, paths: Sequence[str]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits `[n, K]`, and what the named layers give on the way `[n, H]`, of one forward pass."""
        if not paths:
            return self(weights, x), {}
        with capturing(self.module, paths, len(x)) as found:
            logits = self(weights, x)
        return logits, found

    def widths(self, x: Tensor, paths: Sequence[str]) -> dict[str, int]:
        """How many features each named layer gives at inputs like `x [n, ...]`; raises `InputError` for what is no
        layer, is not called once in a pass, or gives none."""
        weights: dict[str, Tensor] = dict(self.module.named_parameters())
        with torch.no_grad():
            _, found = self.with_layers(weights, x.to(next(iter(weights.values()))), paths)
        return {path: features.shape[1] for path, features in found.items()}

    def own_logits(self, x: Tensor) -> Tensor:
        """Logits with the weights that the network was handed in with."""
        weights: dict[str, Tensor] = dict(self.module.named_parameters())
        with torch.no_grad():
            return self(weights, x.to(next(iter(weights.values())).dtype))

    @property
    def num_weights(self) -> int:
        """Numbers in one draw of all weights."""
        return sum(shape.numel() for shape in self.shapes.values())

    @property
    def has_convolution(self) -> bool:
        """Whether a layer convolves."""
        return any(isinstance(part, nn.modules.conv._ConvNd) for part in self.module.modules())

    @property
    def loops(self) -> bool:
        """Whether draws are taken one by one: vmapped convolution weights are slow on a CPU, and torch has no batching
        rule for recurrent layers."""
        recurrent = any(isinstance(part, nn.RNNBase) for part in self.module.modules())
        return recurrent or self.has_convolution

    def layers(self) -> dict[str, nn.Module]:
        """The modules that own parameters, by path, in order."""
        return {
            path: part
            for path, part in self.module.named_modules()
            if next(part.parameters(recurse=False), None) is not None
        }

    def parameters_of(self, chosen: str | list[str]) -> list[str]:
        """Parameter names of 'all' layers, the 'last' one, or the layers (module paths) listed."""
        if chosen == "all":
            return list(self.shapes)
        layers = self.layers()
        paths = (
            [list(layers)[-1]] if chosen == "last" else [chosen] if isinstance(chosen, str) else list(chosen)
        )
        for path in paths:
            if path not in layers:
                raise InputError(
                    f"bayesian layer '{path}' is not in the network; valid: all, last, {', '.join(layers)}"
                )
        # By identity: a tied weight is listed once, under the first layer that owns it.
        owned = {id(parameter) for path in paths for parameter in layers[path].parameters()}
        return [name for name, parameter in self.module.named_parameters() if id(parameter) in owned]


def refuse_batch_and_chance(module: nn.Module) -> None:
    """Raise `InputError` naming the first layer that makes the likelihood depend on the batch or on chance."""
    for path, part in module.named_modules():
        where = f"layer '{path or type(part).__name__}' ({type(part).__name__})"
        running = isinstance(part, nn.modules.instancenorm._InstanceNorm) and part.track_running_stats
        if isinstance(part, _BatchNorm) or running:
            raise InputError(
                f"{where} makes the likelihood of one input depend on the others in its batch; "
                "use nn.GroupNorm or nn.LayerNorm instead"
            )
        rate = getattr(part, "p", 0.0) if isinstance(part, _DropoutNd) else getattr(part, "dropout", 0.0)
        chance = isinstance(part, nn.RReLU) or (isinstance(part, (_DropoutNd, *RANDOM_RATE)) and rate > 0)
        if chance:
            raise InputError(
                f"{where} makes the likelihood depend on chance; remove it (set its rate to 0): "
                "the posterior itself regularises a Bayesian student"
            )


def check_output(skeleton: Skeleton, x: Tensor, num_classes: int | None) -> int:
    """Number of classes K of the network's logits `[n, K]` at inputs `[n, ...]`.

    Raises `InputError` unless the network takes these inputs, gives `num_classes` of them (None: any number), and gives
    an input the same ones again, whatever is beside it: what no layer's name tells (dropout as a function, sums over
    the batch).
    """
    pair = x[:2]
    try:
        logits, again, alone = (skeleton.own_logits(rows) for rows in (pair, pair, pair[:1]))
    except (RuntimeError, ValueError, IndexError) as error:
        raise InputError(
            f"network {type(skeleton.module).__name__} does not take inputs of shape {tuple(x.shape[1:])}: {error}"
        ) from error
    if not isinstance(logits, Tensor) or logits.dim() == 0:
        raise InputError(
            f"network {type(skeleton.module).__name__} returns {type(logits).__name__}; "
            "a tensor of logits [n, K] is needed"
        )
    expected = (len(pair), logits.shape[-1] if num_classes is None else num_classes)
    if tuple(logits.shape) != expected:
        raise InputError(
            f"network gives shape {tuple(logits.shape)} for {expected[0]} inputs; {expected} (rows, classes) is needed"
        )
    if expected[1] < 2:
        raise InputError(
            f"network {type(skeleton.module).__name__} gives {expected[1]} logit an input; "
            "at least 2 classes are needed, so give two outputs where there is one"
        )
    if not torch.equal(logits, again):
        raise InputError(
            f"network {type(skeleton.module).__name__} gives other logits when asked again; remove what draws at "
            "random in its forward: the posterior itself regularises a Bayesian student"
        )
    if not torch.allclose(logits[:1], alone, rtol=1e-3, atol=1e-4):
        raise InputError(
            f"network {type(skeleton.module).__name__} gives an input other logits when another is beside it; "
            "normalise over features (nn.GroupNorm, nn.LayerNorm), not over the batch"
        )
    return expected[1]
