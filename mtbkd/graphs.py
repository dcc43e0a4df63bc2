"""A traced function of tensors, run eagerly or compiled, and what it costs."""

import copy
import logging
import os
import shutil
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx

from mtbkd.gathers import without_gathers
from mtbkd.hoisting import hoist
from mtbkd.row_layout import rows_innermost

log = logging.getLogger("mtbkd")

Tensors = tuple[Tensor, ...]

# Relative disagreement between compiled and eager results that still counts as rounding.
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-10}

COMPILER_NEEDED = (
    "A C++ compiler (g++) is needed to compile; compiled='never' (command line: compile=never) silences this."
)


@dataclass(frozen=True)
class Execution:
    """How a density is run; chosen once for a planned run, stored with it, and never flipped within it.

    compiled: through torch.compile; loop: one chain at a time instead of batched; rows: at most so many rows at
    once, None for all
    """

    compiled: bool = False
    loop: bool = False
    rows: int | None = None


class Compiled:
    """A module through torch.compile, once for each kind of inputs and number of threads.

    Of what torch.compile's guards look after, a graph of tensor operations has nothing but its inputs' types, shapes,
    layouts and gradients; looked up here, they take little, where the guards took a quarter of a small student's step.
    """

    def __init__(self, module: GraphModule) -> None:
        self.module = module
        self.made: dict[tuple[object, ...], Callable[..., Tensors]] = {}

    def __call__(self, *inputs: Tensor) -> Tensors:
        kinds = ((t.dtype, t.device, t.shape, t.stride(), t.requires_grad) for t in inputs)
        key = (torch.get_num_threads(), torch.is_grad_enabled(), *kinds)
        if key not in self.made:
            # A module of its own each time: torch keeps what it compiled with the module's code.
            module = copy.deepcopy(self.module)
            options: Any = {"guard_filter_fn": torch.compiler.skip_all_guards_unsafe}
            self.made[key] = torch.compile(module, dynamic=False, options=options)
        return self.made[key](*inputs)


class Graph:
    """A traced function; the first compiled result is checked against the eager one before it is trusted."""

    def __init__(self, module: GraphModule, compiled: bool) -> None:
        self.module = module
        self.compiled: Callable[..., Tensors] | None = Compiled(laid_out(module)) if compiled else None
        self.trusted = False

    def __call__(self, *inputs: Tensor) -> Tensors:
        if self.compiled is None:
            return tuple(self.module(*inputs))
        if not self.trusted:
            return self.first_call(inputs)
        return tuple(self.compiled(*inputs))

    def first_call(self, inputs: Tensors) -> Tensors:
        """Run both ways; keep the compiled function only if it works and agrees."""
        eager = tuple(self.module(*inputs))
        assert self.compiled is not None
        try:
            result = tuple(self.compiled(*inputs))
        except Exception as error:  # whatever a broken or missing compiler raises must not end the run
            self.distrust(f"compiling failed ({type(error).__name__}: {first_line(error)})")
            return eager
        for one, other in zip(result, eager, strict=True):
            scale = other.abs().max().clamp(min=1.0)
            if not bool(((one - other).abs().max() / scale) <= TOLERANCE.get(other.dtype, 1e-4)):
                self.distrust("the compiled result differs from the eager one")
                return eager
        self.trusted = True
        return result

    def distrust(self, why: str) -> None:
        """Go on eagerly, with one warning."""
        self.compiled = None
        warnings.warn(
            f"{why}; going on with the eager graph, which is slower but right. {COMPILER_NEEDED}",
            RuntimeWarning,
            stacklevel=2,
        )


@dataclass(frozen=True)
class HoistedGraph:
    """A traced function whose part without the first input is a module of its own (hoisting.py), to be called once,
    and so never compiled: `rest(first, *others, *keep(*others))`; whole: of other inputs at each call."""

    fixed: GraphModule
    rest: Graph
    whole: Graph

    def keep(self, *others: Tensor) -> Tensors:
        """What the fixed part gives, without the memory of anything that it is only a part of."""
        with torch.no_grad():
            values = tuple(self.fixed(*others))
        return tuple(v.clone() if v.untyped_storage().nbytes() > v.nbytes else v for v in values)


def laid_out(module: GraphModule) -> GraphModule:
    """The graph without look-ups and with rows innermost in memory, or as it is where that cannot be written."""
    try:
        return rows_innermost(without_gathers(module))
    except Exception as error:  # a layout is for speed alone: what it cannot do must not end the run
        log.info("a graph is compiled as it was traced (%s: %s)", type(error).__name__, first_line(error))
        return module


def compiler_found(device: torch.device) -> bool:
    """Whether graphs can be compiled for a device: on CPU that takes a C++ compiler, `$CXX` or the system's."""
    usual = {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
    command = os.environ.get("CXX", usual).split()
    return device.type != "cpu" or bool(command and shutil.which(command[0]))


def trace_graph(function: Callable[..., Tensors], inputs: Tensors, compiled: bool) -> Graph:
    """Trace `function` at these inputs' shapes into one graph of tensor operations."""
    return Graph(traced(function, inputs), compiled)


def trace_hoisted(
    function: Callable[..., Tensors], inputs: Tensors, compiled: bool, most: float
) -> Graph | HoistedGraph:
    """The same, in two where much of it does not depend on the first input and takes at most `most` bytes to keep."""
    module = traced(function, inputs)
    whole, parts = Graph(module, compiled), hoist(module, most)
    return whole if parts is None else HoistedGraph(parts.fixed, Graph(parts.rest, compiled), whole)


def traced(function: Callable[..., Tensors], inputs: Tensors) -> GraphModule:
    """The function's operations at these inputs' shapes, without those that change nothing."""
    # The graph must not depend on these inputs' values: they are detached copies of the right shape.
    examples = tuple(tensor.detach() for tensor in inputs)
    module = make_fx(function)(*examples)
    simplify(module)
    return module


def simplify(module: GraphModule) -> None:
    """Take out what changes nothing, such as a division by a temperature of 1, and what nobody reads, such as the
    indices of a plate."""
    aten = torch.ops.aten
    for node in module.graph.nodes:
        first, *rest = node.args or (None,)
        if node.op != "call_function" or not isinstance(first, Node):
            continue
        same = _shape(node) == _shape(first)
        if (
            (node.target in (aten.expand.default, aten.view.default, aten._unsafe_view.default) and same)
            or (node.target in (aten.mul.Tensor, aten.div.Tensor, aten.mul.Scalar) and rest == [1.0] and same)
            or (node.target == aten.add.Tensor and rest == [0.0] and same)
            or (node.target == aten.pow.Tensor_Scalar and rest == [1.0] and same)
        ):
            node.replace_all_uses_with(first)
        elif node.target == aten.t.default and first.target == aten.t.default:
            node.replace_all_uses_with(first.args[0])
    module.graph.eliminate_dead_code()
    module.recompile()


def _shape(node: Node) -> tuple[object, ...]:
    """Shape and dtype of a node's value; two without one are not the same."""
    value = node.meta.get("val")
    return (value.shape, value.dtype) if isinstance(value, Tensor) else (object(),)


def first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]
