"""How a density is best run, by its size alone: compiled or not, chains batched or looped, rows in chunks, threads."""

import warnings
from collections.abc import Container
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.fx import GraphModule

from mtbkd.graphs import COMPILER_NEEDED, Execution, Graph, HoistedGraph, compiler_found

if TYPE_CHECKING:
    from mtbkd.density import Density

# Seconds of eager gradients from which on compiling (10 to 15 s cold, 3 s from inductor's cache; gradients then take a
# fifth to a third of the time) is worth it.
COMPILING_PAYS_AFTER = 30.0

# Bytes that an operation writes on average below which a second thread costs more than it brings: one trial each of
# the digits run on two cores took 21 s with one thread, 36 s with two, and 72 s with two beside another busy process.
SMALL_OPERATION = 100_000

# Bytes of rows' intermediates (the sum of all, an upper bound) in a chunk of them. On a CPU few: chunks that leave its
# cache are slow, in a trial each 1.5 times with 1e6 rows of 64-16-16-10 in one piece, and twice with images of a CNN at
# 2 GB a chunk; many small calls are slow as well. Elsewhere, and for what is computed once, they bound memory.
CPU_CHUNK = 4e8
CHUNK = 2e9

# Rows on which the cost of all is measured: tracing runs the model, and all rows at once may not fit in memory. All of
# them where these with the weights are so few numbers: then the graph that was measured is the one that runs.
PLANNING_ROWS = 256
PLANNING_NUMBERS = 20_000_000


@dataclass(frozen=True)
class Plan:
    """execution: of all gradients of a run; small: whether one thread serves it best"""

    execution: Execution
    small: bool


@dataclass(frozen=True)
class GraphSize:
    """What one chain's call costs: operations, bytes of all intermediates (an upper bound on the memory) and of those
    that are of rows, not of weights, and whether there are convolutions."""

    calls: int
    bytes: int
    bytes_of_rows: int
    convolutions: bool

    @classmethod
    def of(cls, module: GraphModule, rows: int, sizes: Container[int] = ()) -> "GraphSize":
        """Counted from the graph's nodes; of rows is what has a dimension of `rows`, unless it is as large as a weight,
        whose numbers are `sizes`."""
        nodes = [node for node in module.graph.nodes if node.op == "call_function"]
        values = [v for node in nodes if isinstance(v := node.meta.get("val"), Tensor)]
        bytes_of = [value.numel() * value.element_size() for value in values]
        of_rows = [rows in value.shape and value.numel() not in sizes for value in values]
        convolutions = any("convolution" in str(node.target) for node in nodes)
        return cls(len(nodes), sum(bytes_of), sum(compress(bytes_of, of_rows)), convolutions)

    def seconds(self, num_chains: int, loop: bool, rows: float) -> float:
        """Eager seconds of one call of all chains on a CPU core with `rows` times the rows, roughly: 5 microseconds
        an operation, 2 GB/s written."""
        return (num_chains if loop else 1) * 5e-6 * self.calls + num_chains * rows * self.bytes / 2e9


def keep_freed_memory() -> None:
    """Have the C library keep what a gradient frees for the next one, in place of giving it back page by page, which
    took up to 15 % of a gradient of 16 chains on two threads. It keeps twice the largest block that was freed, if
    that has less than 32 MB: one such block is enough, of glibc; others keep their own rules.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


def plan(
    density: "Density",
    num_chains: int,
    evaluations: int,
    batch_size: int | None,
    compiled: str,
    memory: float | None,
) -> Plan:
    """What `Density.plan` says."""
    keep_freed_memory()
    often = memory or (CPU_CHUNK if density.device.type == "cpu" else CHUNK)
    used = min(batch_size or density.num_rows, density.num_rows)
    numbers = density.dim + sum(t[0].numel() for t in density.tensors) if density.takes_batches else 0
    traced = used if used * numbers <= PLANNING_NUMBERS else min(used, PLANNING_ROWS)
    batch = density.full if traced == density.num_rows else density.batch(torch.arange(traced))
    theta = torch.zeros(1, density.dim, dtype=density.dtype, device=density.device)
    graph = density.graph("value_and_grad", theta, batch)
    once = 0
    counted = (traced, {density.dim, *(site.size for site in density.sites)})
    if isinstance(graph, HoistedGraph) and used == density.num_rows:
        size, once = GraphSize.of(graph.rest.module, *counted), GraphSize.of(graph.fixed, *counted).bytes
    else:
        size = GraphSize.of((graph if isinstance(graph, Graph) else graph.whole).module, *counted)
    loop = size.convolutions and density.device.type == "cpu"
    together = 1 if loop else num_chains
    rows = None
    if density.takes_batches:
        # What is of weights is computed for each chunk anew: never more of that than of rows.
        allowed = max(often / together, size.bytes - size.bytes_of_rows) / max(size.bytes_of_rows, 1)
        most = max(1, int(traced * min(allowed, (memory or CHUNK) / max(once, 1))))
        rows = most if most < density.num_rows else None
    seconds = size.seconds(num_chains, loop, used / traced) * evaluations
    choice = compiled == "always" or (compiled == "auto" and seconds > COMPILING_PAYS_AFTER)
    if choice and not compiler_found(density.device):
        warnings.warn(
            f"no C++ compiler was found; going on eagerly. {COMPILER_NEEDED}",
            RuntimeWarning,
            stacklevel=2,
        )
        choice = False
    small = size.bytes / size.calls * together * used / traced < SMALL_OPERATION
    return Plan(Execution(compiled=choice, loop=loop, rows=rows), small)
