"""From a Pyro model to a flat, traced, vectorised log-density: what every engine runs on.

    theta in R^D  ->  log p(theta, data) + log |d constrained / d theta|

The log joint is taken from the Pyro model itself by conditioning it on the flat vector's sites and tracing it; its
value and gradient for C chains at once become one graph (`make_fx` of `vmap` of `grad_and_value`), run eagerly or
compiled (see graphs.py). Data and teacher tensors are inputs of the graph, so one graph serves every mini-batch of a
size.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, cast

import pyro
import torch
from pyro import poutine
from torch import Tensor
from torch.func import grad_and_value, vmap

from mtbkd.errors import InputError
from mtbkd.graphs import Execution, Graph, HoistedGraph, trace_hoisted
from mtbkd.planning import plan
from mtbkd.sites import find_sites, place

Batch = tuple[Tensor, ...]


# Bytes, of all rows together, that may be kept of what does not depend on theta.
MOST_KEPT = 1e9


class Density:
    """The log-density of a Pyro model's continuous latents given its tensor arguments.

    model: called as `model(*tensors)`; one that names a `scale` argument may be given mini-batches, with
        `scale = N / n` on everything that is summed over rows
    tensors: the model's arguments; where the model takes `scale`, each has one entry a row, `[N, ...]`
    dtype, device: of theta and of every floating tensor
    small: whether one thread serves it best (known once planned)
    execution: compiled or not, chains batched or looped, rows a chunk (`plan` chooses by size)

    Raises `InputError` for discrete latents, random subsampling and models without latents.
    """

    def __init__(
        self,
        model: Callable[..., Any],
        tensors: Sequence[Tensor],
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        execution: Execution | None = None,
    ) -> None:
        self.model = model
        self.dtype = dtype
        self.device = torch.device(device)
        self.tensors = tuple(t.to(self.device, dtype if t.is_floating_point() else t.dtype) for t in tensors)
        self.takes_batches = bool(self.tensors) and "scale" in inspect.signature(forward_of(model)).parameters
        # Where rows can be left out, few are enough: all of them at once may not fit in memory.
        two, one = (
            tuple(t[:n] for t in self.tensors) if self.takes_batches else self.tensors for n in (2, 1)
        )
        self.sites = find_sites(model, two, one)
        self.execution = execution or Execution()
        self.small = False
        self.held: dict[str, Tensor] = {}
        self.graphs: dict[tuple[object, ...], Graph | HoistedGraph] = {}
        self.kept: dict[int, tuple[Tensor, ...]] = {}
        self.kept_for: tuple[str, int] | None = None

    # ---- the flat vector -------------------------------------------------------------------------------------
    @property
    def dim(self) -> int:
        """D, the length of the flat vector."""
        return sum(site.size for site in self.sites)

    @property
    def num_rows(self) -> int:
        """N, the rows that mini-batches are drawn from; 1 for a model that does not take them."""
        return len(self.tensors[0]) if self.takes_batches else 1

    def unflatten(self, theta: Tensor) -> dict[str, Tensor]:
        """Constrained values by site, `[..., D]` -> `[..., *shape]`, held sites included."""
        values = {site.name: site.constrain(theta)[0] for site in self.sites}
        batch = theta.shape[:-1]
        return values | {name: value.expand(*batch, *value.shape) for name, value in self.held.items()}

    def flatten(self, values: Mapping[str, Tensor]) -> Tensor:
        """The flat vector `[..., D]` of constrained values `[..., *shape]` by site."""
        missing = [site.name for site in self.sites if site.name not in values]
        if missing:
            raise InputError(
                f"no value for site '{missing[0]}'; give one for each of {[s.name for s in self.sites]}"
            )
        return torch.cat(
            [site.free(values[site.name].to(self.device, self.dtype)) for site in self.sites], -1
        )

    def restrict(self, names: Sequence[str], values: Mapping[str, Tensor]) -> "Density":
        """The density of the sites `names` alone, the others held at `values` (constrained)."""
        other = self.copy()
        other.sites = place([site for site in self.sites if site.name in names])
        if not other.sites:
            raise InputError(
                f"no site of the model is in {list(names)}; valid: {[s.name for s in self.sites]}"
            )
        fixed = {s.name: values[s.name] for s in self.sites if s.name not in names}
        other.held = self.held | {name: v.detach().to(self.device, self.dtype) for name, v in fixed.items()}
        other.graphs = {}
        return other

    def copy(self) -> "Density":
        """Another one with the same graphs and nothing that was made of the data."""
        other = Density.__new__(Density)
        other.__dict__.update({k: v for k, v in self.__dict__.items() if k not in ("full", "slices")})
        other.kept, other.kept_for = {}, None
        return other

    # ---- data ------------------------------------------------------------------------------------------------
    @cached_property
    def full(self) -> Batch:
        """All rows."""
        return (*self.tensors, self.scalar(1.0)) if self.takes_batches else self.tensors

    @cached_property
    def slices(self) -> list[Batch]:
        """All rows, in chunks."""
        return self.chunks(self.full)

    def chunks(self, batch: Batch) -> list[Batch]:
        """A batch in pieces of at most `execution.rows` rows, each scaled to stand for all rows. They are of one size,
        so that one graph serves them; what is left over is fewer rows than there are pieces."""
        most = self.execution.rows
        if not self.takes_batches or most is None or most >= len(batch[0]):
            return [batch]
        *tensors, scale = batch
        n = len(tensors[0])
        rows = n // -(-n // most)
        pieces = [tuple(t[i : i + rows] for t in tensors) for i in range(0, n, rows)]
        return [(*piece, scale * (n / len(piece[0]))) for piece in pieces]

    def batch(self, rows: Tensor) -> Batch:
        """A mini-batch: the given rows `[n]`, and the scale N / n; raises `InputError` where the model takes none."""
        if not self.takes_batches:
            raise InputError(
                "this model cannot be given mini-batches: write its plate without subsampling and let it take "
                "`scale` (N / n) for poutine.scale, or set batch_size to null"
            )
        rows = rows.to(self.device)
        return (*(t[rows] for t in self.tensors), self.scalar(self.num_rows / len(rows)))

    def scalar(self, value: float) -> Tensor:
        """A number as a tensor of the density's dtype, on its device."""
        return torch.tensor(value, dtype=self.dtype, device=self.device)

    # ---- value and gradient ----------------------------------------------------------------------------------
    def log_joint(self, theta: Tensor, batch: Batch, held: Mapping[str, Tensor]) -> Tensor:
        """The Pyro model's own log joint at one flat vector `[D]`, a scalar."""
        values = dict(held)
        jacobian: Tensor | None = None
        # Split at once and not sliced by site: the gradient is then one concatenation.
        parts = theta.split([site.size for site in self.sites], -1)
        for site, part in zip(self.sites, parts, strict=True):
            values[site.name], log_det = site.constrain_part(part)
            if log_det is not None:
                jacobian = log_det if jacobian is None else jacobian + log_det
        with pyro.validation_enabled(
            False
        ):  # validation asks tensors for their values, which a traced one lacks
            log_prob = cast(Tensor, self.run_model(values, batch).log_prob_sum())
        return log_prob if jacobian is None else log_prob + jacobian

    def run_model(self, values: Mapping[str, Tensor], batch: Batch) -> poutine.Trace:
        """Pyro's trace of the model conditioned on these values."""
        conditioned = poutine.condition(self.model, data=dict(values))
        arguments, named = (batch[:-1], {"scale": batch[-1]}) if self.takes_batches else (batch, {})
        return poutine.trace(conditioned).get_trace(*arguments, **named)

    def held_model(self) -> Callable[..., Any]:
        """The Pyro model with the held sites fixed: what Pyro's own engines run on, called with `arguments`."""
        return poutine.condition(self.model, data=self.held) if self.held else self.model

    @property
    def arguments(self) -> Batch:
        """The model's positional arguments, all rows."""
        return self.tensors

    def unconstrained(self, theta: Tensor) -> dict[str, Tensor]:
        """Unconstrained values by site of one flat vector `[D]`, as Pyro's MCMC takes its start."""
        return {s.name: theta[s.start : s.start + s.size].view(s.unconstrained) for s in self.sites}

    def terms(self, theta: Tensor, batch: Batch | None = None) -> dict[str, Tensor]:
        """The log joint's parts by site, each `[C]`, over all rows or a batch (`theta [C, D]`); they sum to `log_prob`
        less the Jacobian of constrained sites."""
        columns: dict[str, list[Tensor]] = {}
        with torch.no_grad():
            for one in theta:
                trace = self.run_model(self.unflatten(one), self.full if batch is None else batch)
                trace.compute_log_prob()
                for name, node in trace.nodes.items():
                    if node["type"] == "sample" and not poutine.util.site_is_subsample(node):
                        columns.setdefault(name, []).append(node["log_prob_sum"])
        return {name: torch.stack([torch.as_tensor(v) for v in column]) for name, column in columns.items()}

    def log_prob(self, theta: Tensor, batch: Batch | None = None) -> Tensor:
        """Log-density of C chains, `[C, D]` -> `[C]`."""
        return self.evaluate("log_prob", theta, batch)[0]

    def value_and_grad(self, theta: Tensor, batch: Batch | None = None) -> tuple[Tensor, Tensor]:
        """Log-density and its gradient for C chains, `[C, D]` -> `[C]`, `[C, D]`.

        Without `batch`: all rows. In chunks where `execution.rows` says so: the exact sum over chunks is the mean of
        the chunks' mini-batch densities weighted by their rows, because each scales its rows' sum by N / n.
        """
        value, grad = self.evaluate("value_and_grad", theta, batch)
        return value, grad

    def evaluate(self, kind: str, theta: Tensor, batch: Batch | None) -> tuple[Tensor, ...]:
        """All parts of one kind of graph over all rows, or over one batch."""
        chunks = self.slices if batch is None else self.chunks(batch)
        if len(chunks) == 1:
            return self.evaluate_batch(kind, theta, chunks[0])
        sizes = [len(chunk[0]) for chunk in chunks]
        total: tuple[Tensor, ...] | None = None
        for chunk, size in zip(chunks, sizes, strict=True):
            found = self.evaluate_batch(kind, theta, chunk, left_over=size < sizes[0])
            parts = tuple(size / sum(sizes) * part.double() for part in found)
            total = parts if total is None else tuple(a + b for a, b in zip(total, parts, strict=True))
        assert total is not None
        return tuple(part.to(self.dtype) for part in total)

    def evaluate_batch(
        self, kind: str, theta: Tensor, batch: Batch, left_over: bool = False
    ) -> tuple[Tensor, ...]:
        """The same in one piece."""
        if not self.execution.loop:
            return self.call_graph(kind, theta, batch, left_over)
        chains = [self.call_graph(kind, one, batch, left_over) for one in theta.split(1)]
        return tuple(torch.cat(parts) for parts in zip(*chains, strict=True))

    def call_graph(self, kind: str, theta: Tensor, batch: Batch, left_over: bool) -> tuple[Tensor, ...]:
        """The graph's values; what in it does not depend on theta is kept, of one kind and number of chains."""
        place = next((i for i, rows in enumerate(self.slices) if rows is batch), None)
        graph, others = self.graph(kind, theta, batch, left_over), (*batch, *self.held.values())
        if isinstance(graph, Graph):
            return graph(theta, *others)
        if place is None:  # rows that are others at each call
            return graph.whole(theta, *others)
        if self.kept_for != (kind, len(theta)):
            self.kept_for, self.kept = (kind, len(theta)), {}
        if place not in self.kept:
            self.kept[place] = graph.keep(*others)
        return graph.rest(theta, *others, *self.kept[place])

    def graph(self, kind: str, theta: Tensor, batch: Batch, left_over: bool = False) -> Graph | HoistedGraph:
        """The graph for these shapes, traced once; that of a few rows left over is not worth compiling."""
        key = (kind, left_over, *theta.shape, *(tuple(t.shape) for t in batch))
        if key not in self.graphs:
            chain = self.function(kind, len(batch))
            inputs = (theta, *batch, *self.held.values())
            batched = one_by_one(chain) if len(theta) == 1 else vmap(chain, (0, *[None] * (len(inputs) - 1)))
            share = len(batch[0]) / self.num_rows if self.takes_batches else 1.0
            how = (self.execution.compiled and not left_over, MOST_KEPT * share)
            try:
                self.graphs[key] = trace_hoisted(batched, inputs, *how)
            except RuntimeError as error:
                if "Batching rule not implemented" not in str(error):  # as torch has it for recurrent layers
                    raise
                self.graphs[key] = trace_hoisted(one_by_one(chain), inputs, *how)
        return self.graphs[key]

    def function(self, kind: str, num_tensors: int) -> Callable[..., tuple[Tensor, ...]]:
        """`(theta [D], *batch, *held) -> (log_prob,)` or with the gradient `[D]` behind it."""
        names = list(self.held)

        def one(theta: Tensor, *inputs: Tensor) -> Tensor:
            held = dict(zip(names, inputs[num_tensors:], strict=True))
            return self.log_joint(theta, inputs[:num_tensors], held)

        def chain(theta: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
            if kind == "log_prob":
                return (one(theta, *inputs),)
            grad, value = grad_and_value(one)(theta, *inputs)
            return value, grad

        return chain

    # ---- how to run ------------------------------------------------------------------------------------------
    def plan(
        self,
        num_chains: int,
        evaluations: int,
        batch_size: int | None = None,
        compiled: str = "auto",
        memory: float | None = None,
    ) -> "Density":
        """The same density with its execution chosen for a whole planned run, by size alone.

        By size, not by the clock: the same command makes the same choice on a busy and on an idle machine, and so
        gives the same draws. compiled: 'auto', 'always' or 'never'; memory: bytes for intermediates of full batches,
        None: what is fastest on the device.
        """
        chosen = plan(self, num_chains, evaluations, batch_size, compiled, memory)
        planned = self.with_execution(chosen.execution)
        planned.small = chosen.small
        return planned

    def with_execution(self, execution: Execution) -> "Density":
        """The same density, run another way."""
        other = self.copy()
        other.execution = execution
        other.graphs = self.graphs if execution == self.execution else {}
        return other

    def with_tensors(self, tensors: Sequence[Tensor]) -> "Density":
        """The density of other data, run the same way; of the same shapes it uses the same graphs, so that a thousand
        data sets are traced once. Raises `InputError` where their number differs.
        """
        if len(tensors) != len(self.tensors):
            raise InputError(f"{len(tensors)} tensors for a model of {len(self.tensors)}; give as many")
        other = self.copy()
        other.tensors = tuple(
            new.to(old.device, old.dtype) for new, old in zip(tensors, self.tensors, strict=True)
        )
        return other


def one_by_one(chain: Callable[..., tuple[Tensor, ...]]) -> Callable[..., tuple[Tensor, ...]]:
    """A function of one chain as one of `[C, D]` chains, each a part of the graph of its own."""

    def all_chains(theta: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(
            torch.stack(parts) for parts in zip(*(chain(one, *inputs) for one in theta), strict=True)
        )

    return all_chains


def forward_of(model: Callable[..., Any]) -> Callable[..., Any]:
    """What a call of the model runs: a module's `forward`, else the model itself."""
    return model.forward if isinstance(model, torch.nn.Module) else model
