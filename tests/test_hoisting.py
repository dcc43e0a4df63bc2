"""What does not depend on theta is computed once: the same values, however the rows come, and no stale ones."""

import pytest
import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

import mtbkd.density
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


def targets(module):
    return [str(node.target) for node in module.graph.nodes if node.op == "call_function"]


def heavy(module):
    return [name for name in targets(module) if "mm" in name or "convolution" in name]


@pytest.mark.parametrize("rows", [None, 5], ids=["all rows", "in chunks"])
@pytest.mark.parametrize("chains", [1, CHAINS])
@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_values_and_gradients_are_the_models_own(kind, chains, rows):
    density = last_layer(kind, rows)
    theta = normal(chains, density.dim, seed=4)
    for _ in range(2):  # computed, and then kept
        for found, expected in zip(density.value_and_grad(theta), by_autograd(density, theta), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    assert len(density.kept) == (1 if rows is None else 3)


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_layers_that_are_held_are_in_the_fixed_part(kind):
    density = last_layer(kind)
    graph = density.graph("value_and_grad", normal(CHAINS, density.dim), density.full)
    assert isinstance(graph, HoistedGraph)
    assert len(heavy(graph.fixed)) == (2 if kind == "mlp" else 1)
    # The last layer, and the gradient in its weights.
    assert len(heavy(graph.rest.module)) == 2
    assert not any("convolution" in name for name in targets(graph.rest.module))


def test_a_convolution_that_is_held_asks_for_no_loop_over_chains():
    assert not last_layer("cnn").plan(CHAINS, 10).execution.loop


def test_the_fixed_part_is_called_once_of_all_rows_and_no_batch_has_one(monkeypatch):
    density = last_layer()
    theta = normal(CHAINS, density.dim)
    called = []
    keep = HoistedGraph.keep
    monkeypatch.setattr(
        HoistedGraph, "keep", lambda self, *others: (called.append(self), keep(self, *others))[1]
    )
    for _ in range(3):
        density.value_and_grad(theta)
    assert len(called) == 1
    density.value_and_grad(theta, density.batch(torch.tensor([0, 5, 7])))
    assert len(called) == 1
    density.log_prob(theta)
    density.log_prob(theta[:1])
    assert len(density.kept) == 1, "of one kind and number of chains"


def test_what_takes_too_much_memory_is_not_kept(monkeypatch):
    monkeypatch.setattr(mtbkd.density, "MOST_KEPT", 8 * ROWS * 7)
    theta = normal(CHAINS, last_layer().dim)
    for rows in (None, 5):  # seven features a row, in chunks too
        density = last_layer(rows=rows)
        density.value_and_grad(theta)
        assert sum(v.nbytes for one in density.kept.values() for v in one) == 8 * ROWS * 7
    monkeypatch.setattr(mtbkd.density, "MOST_KEPT", 8 * ROWS * 7 - 1)
    for rows in (None, 5):
        density = last_layer(rows=rows)
        found = density.value_and_grad(theta)
        assert density.kept == {}
        torch.testing.assert_close(found, by_autograd(density, theta), rtol=1e-10, atol=1e-10)


class Tokens(nn.Module):
    """Something like attention, whose features are read through a view, a comparison and a part."""

    def __init__(self):
        super().__init__()
        self.q, self.v, self.out = nn.Linear(2, 2), nn.Linear(2, 3), nn.Linear(30, CLASSES)

    def forward(self, x):
        q, v = self.q(x), self.v(x)
        said = torch.softmax(q @ q.transpose(1, 2), -1) @ v
        z = self.out(torch.cat([said.flatten(1), said[:, 0]], 1))
        return torch.where(said[:, 0] > 0, z, 2 * z)


def tokens(**how):
    student = Student(Tokens(), bayesian=["out"])
    x = normal(ROWS, 9, 2, seed=1)
    whole = Density(student, student.rows((x, torch.arange(ROWS) % CLASSES)), dtype=torch.float64)
    held = whole.unflatten(0.3 * normal(whole.dim, seed=3))
    return whole.with_execution(Execution(**how)).restrict(student.bayesian, held)


@pytest.mark.parametrize("chains", [1, CHAINS])
def test_masks_views_and_parts_are_kept_too(chains):
    density = tokens()
    theta = normal(chains, density.dim, seed=4)
    for _ in range(2):
        torch.testing.assert_close(
            density.value_and_grad(theta), by_autograd(density, theta), rtol=1e-10, atol=1e-10
        )
    kept = density.kept[0]
    assert torch.bool in [v.dtype for v in kept]
    assert all(v.untyped_storage().nbytes() == v.nbytes for v in kept)


def test_what_is_drawn_by_chance_is_drawn_anew():
    def function(theta, x):
        return (theta + (x.T @ x).sum(0) + torch.rand_like(theta),)

    inputs = normal(5), normal(ROWS, 5)
    parts = hoist(traced(function, *inputs))
    before = torch.random.get_rng_state()
    kept = parts.fixed(inputs[1])
    assert torch.equal(torch.random.get_rng_state(), before)
    one, other = (parts.rest(*inputs, *kept)[0] for _ in range(2))
    assert not torch.equal(one, other)


def test_a_part_of_features_is_kept_without_the_whole():
    def function(theta, x, w):
        return (theta * (x @ w)[:, 0],)

    inputs = normal(ROWS), normal(ROWS, 5), normal(5, 30)
    parts = hoist(traced(function, *inputs))
    (kept,) = HoistedGraph(parts.fixed, Graph(parts.rest, False), None).keep(*inputs[1:])
    assert (kept.shape, kept.untyped_storage().nbytes()) == ((ROWS,), 8 * ROWS)
    torch.testing.assert_close(parts.rest(*inputs, kept)[0], function(*inputs)[0])


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
@pytest.mark.parametrize(
    ("make", "rows"), [(last_layer, None), (tokens, None), (last_layer, 5)], ids=["mlp", "tokens", "chunks"]
)
def test_compiled_parts_agree(make, rows):
    compiled, eager = make(compiled=True, rows=rows), make()
    theta = normal(CHAINS, eager.dim, seed=4)
    for _ in range(2):
        for one, other in zip(compiled.value_and_grad(theta), eager.value_and_grad(theta), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)
    assert all(graph.rest.trusted for graph in compiled.graphs.values())


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
        lambda theta, x: (theta + torch.lgamma(x).sum(0),),  # no product
        lambda theta, x: (theta * theta,),
    ],
)
def test_what_cannot_or_need_not_be_taken_out(function):
    assert hoist(traced(function, normal(5), normal(ROWS, 5))) is None
