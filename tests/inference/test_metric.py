"""The mass of HMC: dense matrices say the same, gradients of known precision give it back, the target stays."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from small_densities import COVARIANCE, gaussian
from torch import Tensor

from mtbkd.density import Density
from mtbkd.inference import hamiltonian, hmc
from mtbkd.inference.checkpoints import Checkpoints
from mtbkd.inference.hmc import HMCConfig
from mtbkd.inference.metric import MOST_BYTES, GradientSketch, Metric, affordable_rank
from mtbkd.progress import Progress


def normals(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def made_up(chains: int = 2, rank: int = 2, d: int = 5) -> Metric:
    """Another metric in each chain."""
    directions = torch.linalg.qr(normals(0, chains, d, rank)).Q.mT
    stiffness = torch.tensor([[40.0, 0.25], [3.0, 900.0]], dtype=torch.float64)
    return Metric(torch.linspace(0.5, 2.0, d, dtype=torch.float64), directions, stiffness)


def inverse_mass(metric: Metric, chain: int) -> Tensor:
    """S^2 of one chain, `[D, D]`, by its formula."""
    u, stiffness = metric.directions[chain], metric.stiffness[chain]
    return torch.eye(u.shape[1], dtype=torch.float64) + u.T @ torch.diag(1 / stiffness - 1) @ u


def test_dense_matrices_say_the_same():
    metric, grad, velocity = made_up(), normals(1, 2, 5), normals(2, 2, 5)
    for chain in (0, 1):
        square = inverse_mass(metric, chain)
        torch.testing.assert_close(metric.force(grad)[chain], square @ (metric.scale * grad[chain]))
        energy = velocity[chain] @ torch.linalg.inv(square) @ velocity[chain] / 2
        torch.testing.assert_close(metric.kinetic(velocity)[chain], energy)
        unit = torch.eye(5, dtype=torch.float64)
        root = torch.stack([metric.velocity(one.expand(2, 5))[chain] for one in unit])
        torch.testing.assert_close(root @ root, square)
        torch.testing.assert_close(root, root.T)


def test_without_directions_the_mass_is_the_scale_alone():
    scale = torch.tensor([0.5, 3.0], dtype=torch.float64)
    metric, vector = Metric.diagonal(scale, 4), normals(3, 4, 2)
    assert torch.equal(metric.velocity(vector), vector)
    assert torch.equal(metric.force(vector), scale * vector)
    torch.testing.assert_close(metric.kinetic(vector), vector.square().sum(-1) / 2)


def test_a_sketch_of_few_gradients_has_their_second_moment():
    gradients, accept = normals(4, 2, 6, 9), torch.tensor([1.0, 0.25], dtype=torch.float64)
    sketch = GradientSketch.start(gradients[:, 0]).add(gradients[:, :4], accept, 8)
    sketch = sketch.add(gradients[:, 4:], accept, 8)
    expected = accept[:, None, None] * gradients.mT @ gradients
    torch.testing.assert_close(sketch.rows.mT @ sketch.rows, expected)
    assert sketch.count.tolist() == [6.0, 1.5]


def test_a_sketch_for_no_direction_keeps_nothing():
    gradients = normals(15, 2, 3, 4)
    sketch = GradientSketch.start(gradients[:, 0]).add(gradients, torch.ones(2), 0)
    assert sketch.rows.shape == (2, 0, 4)
    assert Metric.of(torch.ones(4).double(), sketch, 0).stiffness.shape == (2, 0)


def test_what_is_no_number_or_was_rejected_is_not_heard():
    gradients = normals(5, 2, 3, 4)
    gradients[0, 1] = torch.nan
    sketch = GradientSketch.start(gradients[:, 0]).add(gradients, torch.tensor([0.0, 1.0]), 8)
    assert sketch.rows[0].abs().max() == 0
    torch.testing.assert_close(sketch.rows[1], gradients[1])


def test_stiff_directions_of_each_chain_are_found():
    """Gradients of normals with precision 1 but for three directions, others in each chain, where it is 100 to 900."""
    chains, d, rank = 2, 60, 3
    u = torch.linalg.qr(normals(6, chains, d, rank)).Q.mT
    stiffness = torch.tensor([[900.0, 400.0, 100.0], [600.0, 300.0, 150.0]], dtype=torch.float64)
    noise = normals(7, chains, 2000, d)
    gradients = noise + torch.einsum("csd,crd,cr,cre->cse", noise, u, stiffness.sqrt() - 1, u)
    scale = torch.linspace(0.5, 2.0, d, dtype=torch.float64)
    sketch = GradientSketch.start(gradients[:, 0])
    for piece in (gradients / scale).split(50, 1):
        sketch = sketch.add(piece, torch.ones(chains), 2 * rank)
    assert sketch.rows.shape[1] <= 4 * rank
    found = Metric.of(scale, sketch, rank)
    # 2,000 gradients: a variance is known to 3 %, a direction to (d / (2,000 * stiffness))^(1/2), .02 of a right angle.
    torch.testing.assert_close(found.stiffness, stiffness, rtol=0.12, atol=0)
    assert (torch.einsum("crd,crd->cr", found.directions, u).abs() > 0.99).all()
    unit = torch.eye(rank, dtype=torch.float64).expand(chains, rank, rank)
    torch.testing.assert_close(found.directions @ found.directions.mT, unit)


def test_what_was_never_met_is_left_as_it_is():
    sketch = GradientSketch.start(torch.zeros(2, 4)).add(torch.zeros(2, 3, 4), torch.ones(2), 8)
    metric = Metric.of(torch.ones(4), sketch, 2)
    assert torch.equal(metric.stiffness, torch.ones(2, 2))
    assert metric.directions.abs().max() == 0


def test_large_networks_have_fewer_directions():
    assert affordable_rank(32, 16, torch.empty(1_500)) == 32
    assert affordable_rank(32, 2, torch.empty(3)) == 3
    assert affordable_rank(32, 16, torch.empty(80_000)) == MOST_BYTES // (16 * 80_000 * 4) == 12


def test_one_transition_leaves_the_target_as_it_is():
    """Exact draws of a normal, moved by rough steps with another wrong mass in each chain, are exact draws still."""
    n = 40_000
    state = hamiltonian.init(gaussian(), normals(8, n, 3) @ torch.linalg.cholesky(COVARIANCE).T)
    directions = torch.linalg.qr(normals(9, n, 3, 2)).Q.mT
    stiffness = normals(10, n, 2).exp()
    metric = Metric(torch.tensor([1.0, 0.5, 1.5], dtype=torch.float64), directions, stiffness)
    moved = hamiltonian.update(state, gaussian(), 0.7, metric, 4, torch.Generator().manual_seed(11))
    assert 0.3 < moved.accept.mean() < 0.95  # rough enough for the accept step to matter
    theta = moved.state.theta
    assert theta.mean(0).abs().max() < 5 * (2 / n) ** 0.5
    assert (torch.cov(theta.T) - COVARIANCE).abs().max() < 5 * 2 * (2 / n) ** 0.5


@pytest.mark.parametrize(("directions", "least", "most"), [(0, 0.0, 0.17), (4, 0.3, 3.0)])
def test_stiff_directions_no_longer_hold_the_step_down(directions: int, least: float, most: float):
    """Precision 1 in forty dimensions, 1,000 along two that no coordinate is parallel to. Gradients have variance 51,
    so the scale is 51^(-1/4) = .37, and steps above 2 / (.37 sqrt(1000)) = .17 are unstable, unless these two
    directions have a mass of their own."""
    d = 40
    u = torch.linalg.qr(normals(12, d, 2)).Q
    covariance = torch.eye(d, dtype=torch.float64) - u @ u.T * (1 - 1e-3)
    config = HMCConfig(
        num_chains=4, warmup=120, draws=20, trajectory=1.5, stiff_directions=directions, dtype="float64"
    )
    generator = torch.Generator().manual_seed(13)
    start = 0.01 * normals(14, 4, d)
    draws = hmc.sample(gaussian(covariance), config, start, generator, Progress(), Checkpoints(generator))
    assert least < draws.info["step_size"] < most


def test_what_is_not_stiff_does_not_pass_for_it():
    """Of a standard normal the gradients that one trajectory meets span little but its start and its velocity: a mass
    there would hold chains where they are (without the check their draws' variance is 1.14, their autocovariance at
    lag 20 .2)."""
    d = 1000

    def model() -> None:
        pyro.sample("theta", dist.Normal(torch.zeros(d), 1.0).to_event(1))

    generator = torch.Generator().manual_seed(16)
    start = 0.01 * normals(17, 4, d).float()
    config = HMCConfig(num_chains=4)
    draws = hmc.sample(Density(model, ()), config, start, generator, Progress(), Checkpoints(generator)).theta
    # 800 draws of 1,000 coordinates; chains that stay where they are would have lagged products of their variance.
    assert draws.var((0, 1)).mean().item() == pytest.approx(1.0, abs=0.05)
    assert (draws[:, 20:] * draws[:, :-20]).mean().abs() < 0.05


def test_a_direction_is_as_stiff_as_gradients_say_there():
    metric = made_up()
    precision = torch.tensor([4.0, 1.0, 1.0, 1.0, 0.25], dtype=torch.float64) * metric.scale**-2
    checked = metric.checked(normals(18, 2, 5), lambda theta: -precision * theta)
    there = torch.einsum("crd,d,crd->cr", metric.directions, metric.scale**2 * precision, metric.directions)
    expected = torch.minimum(metric.stiffness, there).clamp(min=1.0)
    torch.testing.assert_close(checked.stiffness, expected)
    assert (checked.stiffness < metric.stiffness)[0, 0]
