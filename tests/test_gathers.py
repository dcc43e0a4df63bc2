"""Gathers as masked sums: the same values to the bit, and left alone where they are not worth it."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch.func import grad_and_value, vmap

from mtbkd.density import Density
from mtbkd.gathers import SHORT, without_gathers
from mtbkd.graphs import Execution, traced

aten = torch.ops.aten
LOOKUPS = (aten.gather.default, aten.scatter_add.default)


def lookups(module) -> int:
    return sum(node.target in LOOKUPS for node in module.graph.nodes)


def log_likelihood(theta, x, y):
    """`[D, K]` weights, `[n, D]` inputs, `[n]` labels: the sum of each row's own log probability."""
    return torch.log_softmax(x @ theta, -1).gather(-1, y[:, None]).sum()


def problem(rows=40, classes=5):
    generator = torch.Generator().manual_seed(0)
    theta = torch.randn(3, 4, classes, generator=generator)
    x = torch.randn(rows, 4, generator=generator)
    return theta, x, torch.randint(classes, (rows,), generator=generator)


@pytest.mark.parametrize("chains", [None, 3])
def test_value_and_gradient_are_those_of_the_lookup_to_the_bit(chains):
    theta, x, y = problem()
    one = grad_and_value(log_likelihood)
    function, first = (one, theta[0]) if chains is None else (vmap(one, (0, None, None)), theta)
    module = traced(function, (first, x, y))
    assert lookups(module) == 2
    new = without_gathers(module)
    assert lookups(new) == 0
    assert lookups(module) == 2  # the given graph stays as it was
    # Of other labels than those that it was traced with.
    other = (y + 1) % 5
    for found, expected in zip(new(first, x, other), module(first, x, other), strict=True):
        assert torch.equal(found, expected)
    # sum_i log p(y_i) by hand, of the first chain.
    probs = torch.log(torch.softmax(x @ theta[0], -1))
    by_hand = sum(float(probs[i, k]) for i, k in enumerate(other.tolist()))
    assert float(new(first, x, other)[1].reshape(-1)[0]) == pytest.approx(by_hand, rel=1e-5)


def test_an_entry_that_is_not_looked_up_may_be_infinite():
    x = torch.tensor([[1.0, -torch.inf], [torch.nan, 2.0]])
    y = torch.tensor([[0], [1]])
    module = traced(lambda x, y: (x.gather(1, y),), (x, y))
    assert without_gathers(module)(x, y)[0].tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize("classes", [SHORT, SHORT + 1])
def test_a_long_dimension_is_looked_up(classes):
    theta, x, y = problem(classes=classes)
    module = traced(lambda t, x, y: (log_likelihood(t, x, y),), (theta[0], x, y))
    assert lookups(without_gathers(module)) == (classes > SHORT)


def test_several_entries_a_row_and_other_dimensions():
    generator = torch.Generator().manual_seed(1)
    x, several = torch.randn(6, 4, generator=generator), torch.tensor([[0, 2], [1, 1], [3, 0]] * 2)
    module = traced(lambda x, i: (x.gather(1, i),), (x, several))
    assert lookups(without_gathers(module)) == 1
    rows = torch.tensor([[3, 5, 0, 3]])
    module = traced(lambda x, i: (x.gather(0, i),), (x, rows))
    new = without_gathers(module)
    assert lookups(new) == 0
    assert torch.equal(new(x, rows)[0], x[[3, 5, 0, 3], [0, 1, 2, 3]][None])


def test_rows_without_an_index_and_integers_are_left_alone():
    """A look-up may be of the first rows alone; a sum of integers may be of another type than they."""
    x, index = torch.arange(12.0).view(4, 3), torch.tensor([[2], [0]])
    module = traced(lambda x, i: (x.gather(1, i),), (x, index))
    assert lookups(without_gathers(module)) == 1
    assert without_gathers(module)(x, index)[0].tolist() == [[2.0], [3.0]]
    whole, places = x.to(torch.int32), torch.tensor([[2], [0], [1], [1]])
    module = traced(lambda x, i: (x.gather(1, i),), (whole, places))
    assert without_gathers(module)(whole, places)[0].dtype == torch.int32
    values = torch.ones(4, 1)
    module = traced(lambda x, i, v: (torch.zeros_like(x).scatter_add(1, i, v),), (x, index, values))
    found = without_gathers(module)(x, index, values)[0]
    assert found.sum(1).tolist() == [1.0, 1.0, 0.0, 0.0]


def test_what_is_added_to_something_is_added():
    """Only zeros are replaced: values that are added to others stay a scatter."""
    x, index, values = torch.ones(3, 4), torch.tensor([[0], [3], [1]]), torch.tensor([[2.0], [3.0], [4.0]])
    module = traced(lambda x, i, v: (x.scatter_add(1, i, v),), (x, index, values))
    new = without_gathers(module)
    assert lookups(new) == 1
    assert torch.equal(new(x, index, values)[0], x.scatter_add(1, index, values))


@pytest.mark.compile
def test_compiled_pyro_categorical_is_its_own_formula():
    theta, x, y = problem(rows=30)

    def model(x, y):
        weights = pyro.sample("weights", dist.Normal(torch.zeros(4, 5), 1.0).to_event(2))
        with pyro.plate("rows", len(x)):
            pyro.sample("y", dist.Categorical(logits=x @ weights), obs=y)

    density = Density(model, (x, y), execution=Execution(compiled=True))
    value, grad = density.value_and_grad(theta.reshape(3, -1))
    for chain in range(3):
        probs = torch.softmax(x @ theta[chain], -1)
        prior = torch.distributions.Normal(0.0, 1.0).log_prob(theta[chain]).sum()
        assert float(value[chain]) == pytest.approx(float(prior + probs.log()[range(30), y].sum()), rel=1e-5)
        errors = torch.nn.functional.one_hot(y, 5) - probs  # d log p(y) / d logits
        torch.testing.assert_close(grad[chain].view(4, 5), x.T @ errors - theta[chain], rtol=1e-4, atol=1e-5)
