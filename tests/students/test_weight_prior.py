"""The weight prior against the formula, site by site."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Independent, Normal
from user_networks import Attentive, Normed

from mtbkd.errors import InputError
from mtbkd.students.cnn import cnn
from mtbkd.students.mlp import mlp
from mtbkd.students.skeleton import Skeleton
from mtbkd.students.weight_prior import NormalWeights, SharedNormal, fan_in


def log_normal(value: torch.Tensor, loc: float, scale: float) -> float:
    """Written out: the scale is a standard deviation, not a variance."""
    n = value.numel()
    squares = ((value.double() - loc) ** 2).sum().item()
    return -squares / (2 * scale**2) - n * math.log(scale) - 0.5 * n * math.log(2 * math.pi)


def values_of(skeleton: Skeleton) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) for name, shape in skeleton.shapes.items()}


LOC_AND_INPUTS = {
    # site: (loc, inputs of a unit)
    "mlp": (mlp(6, [5], 3), {"0.weight": (0, 6), "0.bias": (0, 1), "2.weight": (0, 5), "2.bias": (0, 1)}),
    "cnn": (
        cnn((2, 4, 4), [8], 3),
        {
            "0.weight": (0, 2 * 3 * 3),
            "0.bias": (0, 1),
            "1.weight": (1, 1),
            "1.bias": (0, 1),
            "6.weight": (0, 8),
            "6.bias": (0, 1),
        },
    ),
    "users own": (
        Normed(),
        {
            "temper": (0, 1),
            "body.weight": (0, 6),
            "body.bias": (0, 1),
            "norm.weight": (1, 1),
            "norm.bias": (0, 1),
            "head.weight": (0, 5),
            "head.bias": (0, 1),
        },
    ),
}


@pytest.mark.parametrize("kind", ["fixed", "fan_in"])
@pytest.mark.parametrize("network", list(LOC_AND_INPUTS))
def test_every_weights_density_is_the_formulas(network, kind):
    module, expected = LOC_AND_INPUTS[network]
    skeleton = Skeleton(module)
    values = values_of(skeleton)
    distributions = NormalWeights(0.7, kind).distributions(skeleton, torch.zeros(1))
    assert list(distributions) == list(skeleton.shapes)
    assert set(distributions) == set(expected)
    for name, (loc, inputs) in expected.items():
        scale = 0.7 / math.sqrt(inputs) if kind == "fan_in" else 0.7
        log_prob = distributions[name].log_prob(values[name])
        assert log_prob.shape == ()
        assert log_prob.item() == pytest.approx(log_normal(values[name], loc, scale), rel=1e-5)


@pytest.mark.parametrize("shape", [(), (4,), (3, 2)])
@pytest.mark.parametrize("loc", [0.0, 1.0])
def test_one_normal_for_a_tensor_is_torchs(shape, loc):
    """Density, gradient and moments of torch's own, for one value and for many."""
    mine = SharedNormal(loc, 0.4, torch.Size(shape), torch.zeros(1).double())
    theirs = Independent(Normal(torch.full(shape, loc).double(), 0.4), len(shape))
    value = torch.randn(5, *shape, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    torch.testing.assert_close(mine.log_prob(value), theirs.log_prob(value))
    (grad,) = torch.autograd.grad(mine.log_prob(value).sum(), value)
    torch.testing.assert_close(grad, -(value - loc).detach() / 0.4**2)
    assert torch.equal(mine.mean, theirs.mean)
    torch.testing.assert_close(mine.variance, theirs.variance)
    many = mine.expand(torch.Size((2, 5)))
    assert many.log_prob(value).shape == (5,)
    assert many.sample((3,)).shape == (3, 2, 5, *shape)
    assert mine.sample((1,)).dtype == torch.float64
    assert mine.support.check(value).all()


def test_its_draws_have_its_moments():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        draws = SharedNormal(1.0, 0.4, torch.Size((2,)), torch.zeros(1)).rsample((20_000,))
    assert draws.mean(0).tolist() == pytest.approx([1.0, 1.0], abs=5 * 0.4 / 20_000**0.5)
    assert draws.std(0).tolist() == pytest.approx([0.4, 0.4], rel=5 / 40_000**0.5)


def test_dtype_is_the_inputs():
    distribution = NormalWeights().distributions(Skeleton(mlp(6, [5], 3)), torch.zeros(1).double())[
        "0.weight"
    ]
    assert distribution.sample().dtype == torch.float64


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [(nn.Linear(7, 2), 7), (nn.Conv2d(3, 5, (2, 4)), 24), (nn.Conv1d(4, 6, 3, groups=2), 6)],
)
def test_inputs_of_a_unit(layer, inputs):
    assert fan_in(layer.weight.shape) == inputs
    assert fan_in(layer.bias.shape) == 1


def test_start_is_reproducible_and_alive():
    skeleton = Skeleton(Attentive())
    starts = [NormalWeights().initial(skeleton, torch.Generator().manual_seed(s)) for s in (0, 0, 1)]
    assert all(torch.equal(starts[0][name], starts[1][name]) for name in skeleton.shapes)
    assert not torch.equal(starts[0]["embed.weight"], starts[2]["embed.weight"])
    assert (starts[0]["layer.norm1.weight"] == 1).all()
    assert (starts[0]["layer.norm1.bias"] == 0).all()
    logits = skeleton(starts[0], torch.randn(3, 6, generator=torch.Generator().manual_seed(2)))
    assert logits.std() > 0.01


def test_start_has_the_variance_of_he():
    weight = NormalWeights().initial(Skeleton(mlp(50, [400], 3)), torch.Generator().manual_seed(0))[
        "0.weight"
    ]
    # 20,000 draws: the standard deviation is known to .5 %.
    assert weight.std().item() == pytest.approx(math.sqrt(2 / 50), rel=0.02)


def test_bad_values_are_refused():
    for scale in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="prior_scale"):
            NormalWeights(scale)
    with pytest.raises(InputError, match="did you mean 'fan_in'"):
        NormalWeights(1.0, "fanin")
