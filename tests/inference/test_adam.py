"""Adam against torch's, step by step."""

import pytest
import torch

from mtbkd.inference import adam


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.95)])
def test_it_is_torchs(betas):
    generator = torch.Generator().manual_seed(0)
    theirs = torch.randn(2, 5, generator=generator, dtype=torch.float64).requires_grad_()
    optimizer = torch.optim.Adam([theirs], lr=0.1, betas=betas)
    mine = theirs.detach().clone()
    state = adam.init(mine)
    for step in range(50):
        rate = 0.1 / (1 + step)
        grad = torch.randn(2, 5, generator=generator, dtype=torch.float64) * 10.0 ** (step % 7 - 5)
        theirs.grad = grad.clone()
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        mine, state = adam.adam(state, mine, grad, rate, betas)
        torch.testing.assert_close(mine, theirs.detach(), rtol=1e-12, atol=1e-12)
    assert state.count == 50


def test_nothing_is_changed_in_place():
    theta, grad = torch.ones(3), torch.full((3,), 2.0)
    state = adam.init(theta)
    adam.adam(state, theta, grad, 0.1)
    assert torch.equal(theta, torch.ones(3))
    assert torch.equal(grad, torch.full((3,), 2.0))
    assert torch.equal(state.mean, torch.zeros(3))
    assert torch.equal(state.square, torch.zeros(3))
    assert state.count == 0


def test_the_first_step_is_the_rate():
    """By hand: mean and square over their own corrections are g and g^2, whatever their size."""
    theta = torch.zeros(3, dtype=torch.float64)
    moved, _ = adam.adam(adam.init(theta), theta, torch.tensor([1e-3, -5.0, 0.0]).double(), 0.01)
    torch.testing.assert_close(
        moved, torch.tensor([-0.01, 0.01, 0.0], dtype=torch.float64), atol=1e-6, rtol=0
    )
