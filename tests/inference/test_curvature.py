"""Gauss-Newton against torch's own Hessian where they coincide, and against J' H J written out."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch.func import hessian, jacrev
from user_networks import USERS_OWN

from mtbkd.density import Density
from mtbkd.inference import curvature
from mtbkd.priors import DirichletMixture, DirichletProduct
from mtbkd.students import Student, cnn, mlp
from mtbkd.teachers.bank import TeacherBank

pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop", "ignore:.*no labelled example")

N, K = 8, 3
X = torch.randn(N, 6, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2, -1, -1, 0, -1, 2])


def bank(num_teachers: int) -> TeacherBank:
    """Teachers of which the last is Bayesian: its pseudo-observations differ by row."""
    generator = torch.Generator().manual_seed(1)
    teachers = {f"t{m}": 2 * torch.randn(N, K, generator=generator) for m in range(num_teachers - 1)}
    return TeacherBank.from_logits(teachers | {"draws": torch.randn(9, N, K, generator=generator)}, inputs=X)


def density_of(prior, network=None, x=X, strength: float = 0.7) -> tuple[Density, torch.Tensor]:
    """A student's density in float64, and weights away from anything special."""
    student = Student(mlp(6, [], K) if network is None else network, prior, strength=strength)
    density = Density(student, student.rows((x, Y)), dtype=torch.float64)
    generator = torch.Generator().manual_seed(2)
    return density, 0.5 * torch.randn(density.dim, generator=generator, dtype=torch.float64)


def exact_precision(density: Density, theta: torch.Tensor) -> torch.Tensor:
    return -hessian(lambda point: density.log_joint(point, density.full, density.held))(theta)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("kind", ["labels only", "one teacher", "product"])
def test_a_softmax_regressions_gauss_newton_is_its_hessian(kind, temperature):
    made = {
        "labels only": lambda: None,
        "one teacher": lambda: DirichletMixture(bank(1), torch.ones(N, 1), 4.0, temperature),
        "product": lambda: DirichletProduct(bank(3), torch.full((N, 3), 1 / 3), 4.0, temperature),
    }
    density, theta = density_of(made[kind]())
    ours = (
        curvature.gauss_newton(density, theta, density.tensors) + curvature.weight_precision(density).diag()
    )
    torch.testing.assert_close(ours, exact_precision(density, theta), rtol=1e-6, atol=1e-6)


def test_a_mixtures_gauss_newton_is_the_hessian_with_responsibilities_held_fixed():
    weights = torch.tensor([[0.5, 0.3, 0.2]]).expand(N, 3)
    prior = DirichletMixture(bank(3), weights, 4.0, 2.0)
    density, theta = density_of(prior)
    at_theta = density.model.logits(density.unflatten(theta), density.tensors[0])
    r = prior.responsibilities(at_theta.float(), torch.arange(N)).double()
    counts = prior.tensors["counts"].double()

    def held_fixed(point: torch.Tensor) -> torch.Tensor:
        logits = density.model.logits(density.unflatten(point), density.tensors[0])
        labels = torch.log_softmax(logits, -1)[torch.arange(N), Y.clamp(min=0)][Y >= 0].sum()
        said = (r[..., None] * counts * torch.log_softmax(logits / 2, -1)[:, None]).sum()
        return labels + 0.7 * said

    ours = curvature.gauss_newton(density, theta, density.tensors)
    torch.testing.assert_close(ours, -hessian(held_fixed)(theta), rtol=1e-5, atol=1e-5)
    lost = ours + curvature.weight_precision(density).diag() - exact_precision(density, theta)
    assert torch.linalg.eigvalsh(lost)[0] > -1e-6  # the exact one is less
    assert lost.abs().max() > 0.1


NETWORKS = {kind.__name__: (kind, X) for kind in USERS_OWN} | {
    "mlp": (lambda: mlp(6, [5], K), X),
    "cnn": (
        lambda: cnn((1, 4, 4), [8], K),
        torch.randn(N, 1, 4, 4, generator=torch.Generator().manual_seed(3)),
    ),
}


@pytest.mark.parametrize("name", list(NETWORKS))
def test_any_networks_gauss_newton_is_written_out(name):
    make, x = NETWORKS[name]
    torch.manual_seed(4)
    density, theta = density_of(None, make(), x)
    function = curvature.logits_of(density, density.tensors[0])
    jacobians = jacrev(function, chunk_size=1)(theta)
    q = torch.softmax(function(theta), -1)
    precision = (Y >= 0)[:, None, None] * (torch.diag_embed(q) - q[:, :, None] * q[:, None, :])
    expected = torch.einsum("nkd,nkl,nle->de", jacobians, precision, jacobians)
    close = {"rtol": 1e-6, "atol": 1e-9}
    directions = torch.randn(density.dim, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    for loop in (False, True):
        arguments = (density, theta, density.tensors)
        torch.testing.assert_close(curvature.gauss_newton(*arguments, loop), expected, **close)
        torch.testing.assert_close(
            curvature.gauss_newton_diagonal(*arguments, loop), expected.diagonal(), **close
        )
        products = curvature.gauss_newton_products(*arguments, directions, loop)
        torch.testing.assert_close(products, expected @ directions, **close)


def test_layers_that_are_held_have_no_curvature():
    density, theta = density_of(None, mlp(6, [5], K))
    whole = curvature.gauss_newton(density, theta, density.tensors)
    last = density.restrict(["2.weight", "2.bias"], density.unflatten(theta))
    part = curvature.gauss_newton(last, last.flatten(density.unflatten(theta)), density.tensors)
    torch.testing.assert_close(part, whole[-last.dim :, -last.dim :])
    assert curvature.weight_precision(last).shape == (last.dim,)


def skewed(x: torch.Tensor) -> None:
    """A positive site and a real one, coupled."""
    scale = pyro.sample("scale", dist.Gamma(2.0, 1.0))
    loc = pyro.sample("loc", dist.StudentT(4.0, torch.zeros(2), 1.0).to_event(1))
    pyro.sample("x", dist.Normal(loc.sum(), scale).expand(x.shape).to_event(1), obs=x)


def test_any_models_hessian_is_torchs():
    density = Density(skewed, (X[0],), dtype=torch.float64)
    theta = torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64)
    assert not curvature.has_gauss_newton(density)
    rows = torch.cat(
        [curvature.hessian_rows(density, theta, 0, 2), curvature.hessian_rows(density, theta, 2, 3)]
    )
    torch.testing.assert_close(rows, exact_precision(density, theta))


def test_students_tell_their_logits():
    assert curvature.has_gauss_newton(density_of(None)[0])
