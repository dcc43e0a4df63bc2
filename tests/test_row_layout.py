"""Graphs with rows innermost: the same numbers, the products that they are made for, and how they lie in memory."""

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from mtbkd.density import Density
from mtbkd.graphs import laid_out
from mtbkd.priors import DirichletMixture, DirichletProduct
from mtbkd.row_layout import rows_innermost, with_rows_innermost
from mtbkd.students import Student, mlp
from mtbkd.teachers import TeacherBank

aten = torch.ops.aten
ROWS, INPUTS, CLASSES, CHAINS = 40, 5, 3, 4


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def density_of(prior, activation="relu", classes=None, hidden=(6, 7)):
    told = {"one": normal(ROWS, CLASSES, seed=1), "two": normal(ROWS, CLASSES, seed=2)}
    if classes is not None:
        told = {
            name: z.masked_fill(~known, -torch.inf)
            for (name, z), known in zip(told.items(), classes, strict=True)
        }
    bank = TeacherBank.from_predictions(told, classes=classes)
    heard = prior(bank, torch.full((ROWS, 2), 0.5))
    student = Student(mlp(INPUTS, list(hidden), CLASSES, activation), heard)
    y = torch.arange(ROWS) % (CLASSES + 1) - 1
    return Density(student, student.rows((normal(ROWS, INPUTS, seed=3), y)), dtype=torch.float64)


def modules(density, kind="value_and_grad"):
    theta = 0.5 * normal(CHAINS, density.dim, seed=4).double()
    module = density.graph(kind, theta, density.full).module
    return module, rows_innermost(module), (theta, *density.full)


def targets(module):
    return [node.target for node in module.graph.nodes if node.op == "call_function"]


PARTIAL = torch.tensor([[True, True, False], [True, True, True]])


@pytest.mark.parametrize(
    "density",
    [
        *(density_of(DirichletMixture, activation) for activation in ("relu", "tanh", "silu", "gelu")),
        density_of(DirichletProduct),
        density_of(DirichletMixture, classes=PARTIAL),
        density_of(DirichletMixture, hidden=()),
        density_of(DirichletMixture, hidden=(100,)),  # wider than there are rows
    ],
    ids=["relu", "tanh", "silu", "gelu", "product pool", "partial teacher", "no hidden layer", "wide"],
)
@pytest.mark.parametrize("kind", ["log_prob", "value_and_grad"])
def test_values_and_gradients_are_the_same(density, kind):
    before, after, inputs = modules(density, kind)
    assert targets(before) != targets(after)
    for one, other in zip(before(*inputs), after(*inputs), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-12, atol=1e-12)


def test_what_all_chains_share_is_one_product():
    before, after, _ = modules(density_of(DirichletMixture))
    assert targets(before).count(aten.mm.default) == 0
    # The inputs into the first layer, and its gradient.
    assert targets(after).count(aten.mm.default) == 2
    assert targets(before).count(aten.bmm.default) - targets(after).count(aten.bmm.default) == 2


def test_layers_come_out_with_rows_innermost():
    def layer(weights, x):
        return (torch.relu(torch.bmm(x, weights)),)

    inputs = normal(CHAINS, INPUTS, 6), normal(CHAINS, ROWS, INPUTS)
    module = make_fx(layer)(*inputs)
    (before,), (after,) = module(*inputs), rows_innermost(module)(*inputs)
    torch.testing.assert_close(after, before)
    assert before.stride() == (ROWS * 6, 6, 1)
    assert after.stride() == (ROWS * 6, 1, ROWS)


def test_softmaxes_over_classes_stay_over_classes():
    def score(z):
        q = torch.log_softmax(z, -1)
        return q, torch.log_softmax(z, 1)  # over rows: left as it is

    z = normal(CHAINS, ROWS, CLASSES)
    over_classes, over_rows = rows_innermost(make_fx(score)(z))(z)
    torch.testing.assert_close(over_classes.exp().sum(-1), torch.ones(CHAINS, ROWS))
    torch.testing.assert_close(over_rows.exp().sum(1), torch.ones(CHAINS, CLASSES))


def test_the_given_graph_is_left_alone():
    before, _, inputs = modules(density_of(DirichletMixture))
    code = before.code
    rows_innermost(before)
    before.recompile()
    assert before.code == code
    assert before(*inputs)[0].shape == (CHAINS,)


def test_one_row_for_all_is_no_matrix_of_inputs():
    def product(row, weights):
        return (torch.bmm(row.expand(CHAINS, ROWS, INPUTS), weights),)

    inputs = normal(1, INPUTS), normal(CHAINS, INPUTS, 6)
    module = make_fx(product)(*inputs)
    torch.testing.assert_close(rows_innermost(module)(*inputs), module(*inputs))


def test_what_cannot_be_laid_out_is_left_as_it_is(monkeypatch, caplog):
    module = make_fx(lambda x: (x + 1,))(normal(3))
    monkeypatch.setattr("mtbkd.graphs.rows_innermost", lambda module: 1 / 0)
    with caplog.at_level("INFO", "mtbkd"):
        assert laid_out(module) is module
    assert "a graph is compiled as it was traced (ZeroDivisionError" in caplog.text


def test_rows_of_any_shape_lie_innermost():
    rows = normal(ROWS, 2, CLASSES)
    laid = with_rows_innermost(rows)
    assert torch.equal(laid, rows)
    assert laid.stride() == (1, CLASSES * ROWS, ROWS)
    assert torch.equal(with_rows_innermost(rows[:0]), rows[:0])
