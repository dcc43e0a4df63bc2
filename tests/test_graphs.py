"""Tracing, and what happens where the compiler fails or errs."""

import warnings

import pytest
import torch
from torch import Tensor

from mtbkd.graphs import Execution, Graph, trace_graph
from mtbkd.planning import GraphSize
from mtbkd.threads import threads_within


def double_and_sum(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    torch.arange(5)  # made and never read
    return 2 * x + y, (x * y).sum()


X, Y = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.5, -1.0, 4.0])
EXPECTED = (2 * X + Y, (X * Y).sum())


def check(result: tuple[Tensor, ...]) -> None:
    for one, other in zip(result, EXPECTED, strict=True):
        torch.testing.assert_close(one, other)


def graph_with(monkeypatch, compiled_function) -> Graph:
    monkeypatch.setattr(torch, "compile", lambda module, **_: compiled_function(module))
    return trace_graph(double_and_sum, (X, Y), compiled=True)


def test_a_graph_is_its_function_on_other_values():
    graph = trace_graph(double_and_sum, (torch.zeros(3), torch.zeros(3)), compiled=False)
    check(graph(X, Y))


def test_what_nobody_reads_is_left_out():
    graph = trace_graph(double_and_sum, (X, Y), compiled=False)
    assert not [n for n in graph.module.graph.nodes if "arange" in str(n.target)]


def test_cost_by_hand():
    module = trace_graph(double_and_sum, (X, Y), compiled=False).module
    size = GraphSize.of(module, rows=3)
    # 2 x, + y, x y: three values of 12 bytes; the sum: 4 bytes.
    assert size == GraphSize(calls=4, bytes=40, bytes_of_rows=36, convolutions=False)
    assert GraphSize.of(module, rows=2).bytes_of_rows == 0
    assert GraphSize.of(module, rows=3, sizes={3}).bytes_of_rows == 0
    assert size.seconds(num_chains=3, loop=False, rows=1.0) == pytest.approx(4 * 5e-6 + 3 * 40 / 2e9)
    assert size.seconds(num_chains=3, loop=True, rows=2.0) == pytest.approx(3 * 4 * 5e-6 + 3 * 80 / 2e9)


def test_convolutions_are_noticed():
    weight = torch.zeros(2, 1, 3)
    graph = trace_graph(lambda x: (torch.conv1d(x, weight),), (torch.zeros(1, 1, 5),), compiled=False)
    assert GraphSize.of(graph.module, rows=1).convolutions


def test_a_compiled_graph_is_checked_once_and_then_trusted(monkeypatch):
    calls = []

    def compiled(module):
        def run(*inputs):
            calls.append("compiled")
            return module(*inputs)

        return run

    graph = graph_with(monkeypatch, compiled)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(graph(X, Y))
        assert graph.trusted
        graph.module.forward = None  # the eager way is not taken again
        graph.compiled = lambda *inputs: (calls.append("trusted"), EXPECTED)[1]
        check(graph(X, Y))
    assert calls == ["compiled", "trusted"]


def broken(module):
    def run(*inputs):
        raise RuntimeError("InvalidCxxCompiler: no working C++ compiler\nand a long trace")

    return run


def wrong(module):
    return lambda *inputs: (module(*inputs)[0] * 1.001, module(*inputs)[1])


def not_a_number(module):
    return lambda *inputs: (module(*inputs)[0] * torch.nan, module(*inputs)[1])


@pytest.mark.parametrize(
    ("compiler", "message"),
    [
        (broken, r"compiling failed \(RuntimeError: InvalidCxxCompiler: no working C\+\+ compiler\)"),
        (wrong, "the compiled result differs from the eager one"),
        (not_a_number, "the compiled result differs from the eager one"),
    ],
)
def test_a_failing_compiler_leaves_the_eager_graph_and_one_warning(monkeypatch, compiler, message):
    graph = graph_with(monkeypatch, compiler)
    with pytest.warns(RuntimeWarning, match=message) as told:
        check(graph(X, Y))
    assert len(told) == 1
    assert "compile" in str(told[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(graph(X, Y))


def test_rounding_is_not_an_error(monkeypatch):
    graph = graph_with(monkeypatch, lambda module: lambda *i: tuple(t * (1 + 1e-6) for t in module(*i)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        graph(X, Y)
    assert graph.trusted


def test_float64_is_held_to_its_own_digits(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda m, **_: lambda *i: tuple(t * (1 + 1e-6) for t in m(*i)))
    graph = trace_graph(double_and_sum, (X.double(), Y.double()), compiled=True)
    with pytest.warns(RuntimeWarning, match="differs"):
        graph(X.double(), Y.double())


def test_a_run_with_a_failing_compiler_is_the_eager_run(monkeypatch):
    """Through the density: same numbers, one warning a graph, and the run lives."""
    import pyro
    import pyro.distributions as dist

    from mtbkd.density import Density

    def model(x: Tensor) -> None:
        loc = pyro.sample("loc", dist.Normal(0.0, 1.0))
        with pyro.plate("data", len(x)):
            pyro.sample("obs", dist.Normal(loc, 1.0), obs=x)

    monkeypatch.setattr(torch, "compile", lambda module, **_: broken(module))
    theta = torch.tensor([[0.3], [-1.0]])
    density = Density(model, (X,), execution=Execution(compiled=True))
    with pytest.warns(RuntimeWarning) as told:
        results = [density.value_and_grad(theta) for _ in range(3)]
    assert len(told) == 1
    # log N(loc; 0, 1) + sum log N(x; loc, 1): gradient sum x - 4 loc.
    torch.testing.assert_close(results[2][1][:, 0], 6.0 - 4 * theta[:, 0])


def test_what_changes_nothing_is_left_out():
    """The same values from a graph without its idle operations; those that do something stay."""

    def busy(x, y):
        idle = (x / 1.0 * 1.0 + 0.0).expand(3, 4).view(3, 4).t().t()
        return (idle * 2.0 + (y.expand(3, 4) * 1.0).t().contiguous().t(),)

    x, y = torch.randn(3, 4), torch.randn(4)
    graph = trace_graph(busy, (x, y), compiled=False)
    torch.testing.assert_close(graph(x, y)[0], 2 * x + y)
    targets = [str(node.target) for node in graph.module.graph.nodes if node.op == "call_function"]
    assert targets.count("aten.mul.Tensor") == 1
    assert not {"aten.div.Tensor", "aten.view.default"} & set(targets)
    assert targets.count("aten.expand.default") == 1


def test_a_change_of_dtype_is_no_idle_operation():
    x = torch.arange(3)
    graph = trace_graph(lambda x: (x / 1.0,), (x,), compiled=False)
    assert graph(x)[0].dtype == torch.float32


def test_a_graph_is_compiled_once_for_each_kind_of_inputs_and_number_of_threads(monkeypatch):
    """torch's guards are not asked: what they would have noticed is."""
    made = []

    def compiler(module, **how):
        made.append(how["options"]["guard_filter_fn"]([object(), object()]))
        return module

    monkeypatch.setattr(torch, "compile", compiler)
    x, y = torch.arange(6.0).view(2, 3), torch.ones(2, 3)
    graph = trace_graph(lambda x, y: (x + 2 * y,), (x, y), compiled=True)
    for _ in range(3):
        torch.testing.assert_close(graph(x, y)[0], x + 2)
    assert made == [[False, False]]
    turned = x.T.contiguous().T
    torch.testing.assert_close(graph(turned, y)[0], x + 2)
    assert len(made) == 2
    with threads_within(torch.get_num_threads() + 1):
        graph(x, y)
    graph(x, y)
    assert len(made) == 3
    doubled = graph(x.double(), y)[0]
    assert doubled.dtype == torch.float64
    assert len(made) == 4
    slope = graph(x.requires_grad_(), y)[0].sum()
    (found,) = torch.autograd.grad(slope, x)
    assert torch.equal(found, torch.ones(2, 3))
    assert len(made) == 5
