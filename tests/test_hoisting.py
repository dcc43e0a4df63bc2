"""What does not depend on theta is computed once: the same values, however the rows come, and no stale ones."""

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from mtbkd.density import Density
from mtbkd.graphs import Execution, Graph, HoistedGraph
from mtbkd.hoisting import hoist
from mtbkd.priors import DirichletMixture
from mtbkd.students import Student, cnn, mlp
from mtbkd.teachers import TeacherBank

aten = torch.ops.aten
ROWS, CLASSES, CHAINS = 12, 3, 4


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def last_layer(kind="mlp", rows=None, **how):
    """A student whose last layer alone is inferred, and the same density without hoisting to compare with."""
    network, x = {
        "mlp": lambda: (mlp(5, [6, 7], CLASSES), normal(ROWS, 5, seed=1)),
        "cnn": lambda: (cnn((1, 8, 8), [8], CLASSES), normal(ROWS, 1, 8, 8, seed=1)),
    }[kind]()
    bank = TeacherBank.from_predictions({"one": normal(ROWS, CLASSES, seed=2).float()})
    student = Student(network, DirichletMixture(bank, torch.ones(ROWS, 1)), bayesian="last")
    y = torch.arange(ROWS) % (CLASSES + 1) - 1
    whole = Density(student, student.rows((x, y)), dtype=torch.float64)
    held = whole.unflatten(0.3 * normal(whole.dim, seed=3))
    return whole.with_execution(Execution(rows=rows, **how)).restrict(student.bayesian, held)


def by_autograd(density, theta):
    """Value and gradient of the model's own log joint, chain by chain."""
    values, grads = [], []
    for one in theta:
        one = one.clone().requires_grad_()
        value = density.log_joint(one, density.full, density.held)
        values.append(value.detach())
        grads.append(torch.autograd.grad(value, one)[0])
    return torch.stack(values), torch.stack(grads)


def targets(graph):
    return [str(node.target) for node in graph.module.graph.nodes if node.op == "call_function"]


def heavy(graph):
    return [name for name in targets(graph) if "mm" in name or "convolution" in name]


@pytest.mark.parametrize("rows", [None, 5], ids=["all rows", "in chunks"])
@pytest.mark.parametrize("chains", [1, CHAINS])
@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_values_and_gradients_are_the_models_own(kind, chains, rows):
    density = last_layer(kind, rows)
    theta = normal(chains, density.dim, seed=4)
    for _ in range(2):  # computed, and then kept
        for found, expected in zip(density.value_and_grad(theta), by_autograd(density, theta), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    assert len(density.fixed) == (1 if rows is None else 3)


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_layers_that_are_held_are_in_the_fixed_part(kind):
    density = last_layer(kind)
    graph = density.graph("value_and_grad", normal(CHAINS, density.dim), density.full)
    assert isinstance(graph, HoistedGraph)
    assert len(heavy(graph.fixed)) == (2 if kind == "mlp" else 1)
    # The last layer, and the gradient in its weights.
    assert len(heavy(graph.rest)) == 2
    assert not any("convolution" in name for name in targets(graph.rest))


def test_a_convolution_that_is_held_asks_for_no_loop_over_chains():
    assert not last_layer("cnn").plan(CHAINS, 10).execution.loop


def test_the_fixed_part_is_called_once_of_all_rows_and_for_each_batch(monkeypatch):
    density = last_layer()
    theta = normal(CHAINS, density.dim)
    graph = density.graph("value_and_grad", theta, density.full)
    called = []
    call = Graph.__call__
    monkeypatch.setattr(
        Graph, "__call__", lambda self, *inputs: (called.append(self), call(self, *inputs))[1]
    )
    for _ in range(3):
        density.value_and_grad(theta)
    assert [one is graph.fixed for one in called] == [True, False, False, False]
    called.clear()
    for first in (0, 1):
        density.value_and_grad(theta, density.batch(torch.tensor([first, 5, 7])))
    assert len(called) == 4


def test_batches_have_values_of_their_own():
    density = last_layer()
    theta = normal(CHAINS, density.dim, seed=4)
    thirds = [density.value_and_grad(theta, density.batch(torch.arange(i, ROWS, 3))) for i in range(3)]
    for whole, parts in zip(density.value_and_grad(theta), zip(*thirds, strict=True), strict=True):
        torch.testing.assert_close(torch.stack(parts).mean(0), whole)


def test_other_data_and_other_held_values_find_nothing_stale():
    density = last_layer()
    theta = normal(CHAINS, density.dim, seed=4)
    before = density.value_and_grad(theta)[0]
    x, *others = density.tensors
    moved = density.with_tensors((x + 1, *others))
    expected = by_autograd(moved, theta)[0]
    torch.testing.assert_close(moved.value_and_grad(theta)[0], expected, rtol=1e-10, atol=1e-10)
    assert not torch.allclose(expected, before)
    torch.testing.assert_close(density.value_and_grad(theta)[0], before)


@pytest.mark.compile
def test_compiled_parts_agree():
    compiled, eager = last_layer("cnn", compiled=True), last_layer("cnn")
    theta = normal(CHAINS, eager.dim, seed=4)
    for one, other in zip(compiled.value_and_grad(theta), eager.value_and_grad(theta), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)
    (graph,) = compiled.graphs.values()
    assert graph.fixed.trusted
    assert graph.rest.trusted


def traced(function, *inputs):
    return make_fx(function)(*inputs)


def test_nothing_is_taken_out_of_what_depends_on_theta():
    student = Student(mlp(5, [6], CLASSES))
    density = Density(student, student.rows((normal(ROWS, 5), torch.arange(ROWS) % CLASSES)))
    theta = torch.zeros(CHAINS, density.dim)
    assert isinstance(density.graph("value_and_grad", theta, density.full), Graph)


def test_views_stay_where_they_are_read():
    """What chains share must be seen to be shared where it is multiplied."""

    def function(theta, x, w):
        return (torch.bmm(theta, (x @ w).expand(CHAINS, -1, -1)),)

    inputs = normal(CHAINS, 2, ROWS), normal(ROWS, 5), normal(5, 3)
    parts = hoist(traced(function, *inputs))
    (features,) = parts.fixed(*inputs[1:])
    torch.testing.assert_close(features, inputs[1] @ inputs[2])
    assert "aten.expand.default" in [str(node.target) for node in parts.rest.graph.nodes]
    torch.testing.assert_close(parts.rest(*inputs, features)[0], function(*inputs)[0])


@pytest.mark.parametrize(
    "function",
    [
        lambda theta, x: (theta + x.sum(0),),  # nothing heavy
        lambda theta, x: (theta + (x.T @ x).sum(0).add_(1),),  # changed in place
        lambda theta, x: (theta + (x.T @ torch.rand_like(x)).sum(0),),  # by chance
        lambda theta, x: (theta * theta,),
    ],
)
def test_what_cannot_or_need_not_be_taken_out(function):
    assert hoist(traced(function, normal(5), normal(ROWS, 5))) is None
