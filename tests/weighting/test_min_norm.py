"""The shortest capped mean against closed forms, another solver and its optimality conditions."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from mtbkd.weighting.min_norm import min_norm


def random_vectors(count: int, width: int, seed: int) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def length(weights, vectors) -> float:
    return float((torch.as_tensor(weights) @ vectors).norm())


@pytest.mark.parametrize("cap", [0.5, 0.6, 1.0])
def test_two_vectors_in_closed_form(cap):
    for seed in range(20):
        g, h = 2 * random_vectors(2, 3, seed) + 1
        free = (h @ (h - g)) / (g - h).square().sum()  # where the line through both is nearest to the origin
        first = float(free.clamp(1 - cap, cap))
        assert min_norm(torch.stack([g, h]), cap).tolist() == pytest.approx([first, 1 - first], abs=1e-7)


def test_the_cap_binds_by_hand():
    # The second vector is 0: alone it is the shortest, but may count only .6; the longer of the others gets nothing.
    vectors = torch.tensor([[1.0], [0.0], [2.0]])
    assert min_norm(vectors, 0.6).tolist() == pytest.approx([0.4, 0.6, 0.0], abs=1e-7)
    assert min_norm(vectors, 1.0).tolist() == pytest.approx([0.0, 1.0, 0.0], abs=1e-7)
    assert min_norm(vectors, 0.4).tolist() == pytest.approx([0.4, 0.4, 0.2], abs=1e-7)


@pytest.mark.parametrize(
    ("count", "width", "cap"), [(3, 10, 0.6), (3, 2, 0.4), (5, 3, 0.3), (8, 4, 0.6), (20, 10, 0.1)]
)
def test_no_longer_than_another_solver_finds(count, width, cap):
    for seed in range(10):
        vectors = random_vectors(count, width, seed) + 0.5
        ours = min_norm(vectors, cap)
        gram = (vectors @ vectors.T).numpy()
        theirs = minimize(
            lambda a, gram=gram: a @ gram @ a,
            np.full(count, 1 / count),
            jac=lambda a, gram=gram: 2 * gram @ a,
            bounds=[(0, cap)] * count,
            constraints={"type": "eq", "fun": lambda a: a.sum() - 1, "jac": np.ones_like},
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 1000},
        )
        assert theirs.success
        assert length(ours, vectors) == pytest.approx(length(theirs.x, vectors), abs=1e-4)
        assert float(ours.sum()) == pytest.approx(1, abs=1e-12)
        assert float(ours.min()) >= 0
        assert float(ours.max()) <= cap
        if width > count:  # else several weights give the same mean
            np.testing.assert_allclose(ours, theirs.x, atol=1e-4)


@pytest.mark.parametrize("kind", ["any", "some the same", "whole numbers", "nearly the same", "corners"])
@pytest.mark.parametrize("seed", range(20))
def test_no_pair_would_rather_exchange(kind, seed):
    # The conditions of optimality, which ask for no other solver.
    generator = np.random.default_rng(seed)
    count, width = generator.integers(2, 12), generator.integers(1, 12)
    vectors = generator.normal(size=(count, width)) * 10.0 ** generator.integers(-3, 4)
    made = {
        "any": vectors,
        "some the same": vectors[generator.integers(0, count, count)],
        "whole numbers": np.round(vectors / np.abs(vectors).max() * 2),
        "nearly the same": vectors[:1] + 1e-5 * vectors,
        "corners": np.eye(count)[generator.integers(0, count, count)] - 1 / count,
    }
    vectors = made[kind]
    cap = max(float(generator.choice([1.2 / count, 0.5, 0.6, 1.0])), 1 / count)
    weights = min_norm(torch.tensor(vectors), cap).numpy()
    scale = max((vectors**2).sum(1).mean(), 1e-30)
    pull = vectors @ (weights @ vectors) / scale
    can_give, can_take = weights > 1e-9, weights < cap - 1e-9
    if can_give.any() and can_take.any():
        assert pull[can_give].max() <= pull[can_take].min() + 1e-7
    assert weights.sum() == pytest.approx(1, abs=1e-9)


def test_vectors_that_are_the_same_share_evenly():
    g, h = random_vectors(2, 6, 1)
    alone = min_norm(torch.stack([g, h]), 1.0)
    both = min_norm(torch.stack([g, h, h]), 1.0)
    torch.testing.assert_close(both, torch.stack([alone[0], alone[1] / 2, alone[1] / 2]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_equal_weights_where_nothing_is_to_be_chosen(count):
    even = pytest.approx([1 / count] * count, abs=1e-12)
    assert min_norm(torch.zeros(count, 3), 1.0).tolist() == even
    assert min_norm(random_vectors(count, 3, 0), 1 / count).tolist() == even
