"""The flat density against Pyro's own log joint and gradient, by two independent ways."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer.mcmc.util import initialize_model
from torch import Tensor, nn
from torch.distributions import biject_to
from user_networks import USERS_OWN

import mtbkd.density
import mtbkd.planning
from mtbkd.density import Density
from mtbkd.errors import InputError
from mtbkd.graphs import Execution, trace_hoisted
from mtbkd.planning import GraphSize
from mtbkd.priors import DirichletMixture, DirichletProduct
from mtbkd.students import NormalWeights, Student, cnn, mlp
from mtbkd.teachers.bank import TeacherBank
from mtbkd.weighting import entropy

N, K = 11, 3  # N is a number that no layer has, so that it can be looked for in graphs

pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop")


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


X = torch.randn(N, 6, generator=generator(0))
Y = torch.tensor([0, -1, 2, 1, -1, -1, 0, 1, 1, -1, 2])


def bank() -> TeacherBank:
    z = 2 * torch.randn(2, N, K, generator=generator(1))
    forest = torch.tensor([0.5, 0.5, 0.0]).expand(N, K).log()
    draws = torch.randn(4, N, K, generator=generator(2))
    return TeacherBank.from_predictions({"a": z[0], "b": z[1], "forest": forest, "bayes": draws})


def mixture(**more):
    weights = entropy(bank())
    weights[3], weights[5] = torch.tensor(
        [[0.0, 0.5, 0.5, 0.0], [0.0, 0.0, 1.0, 0.0]]
    )  # minus infinity as logs
    return DirichletMixture(bank(), weights, 4.0, **more)


NETWORKS = {
    "linear": lambda: mlp(6, [], K),
    "mlp": lambda: mlp(6, [5], K),
    "cnn": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 2, 3)), nn.ZeroPad2d((0, 1, 1, 1)), cnn((1, 4, 4), [16], K)
    ),
    **{network.__name__: network for network in USERS_OWN},
}
PRIORS = {
    "none": lambda: None,
    "mixture, density": mixture,
    "mixture, peak": lambda: mixture(normalize="peak"),
    "mixture, no normaliser": lambda: mixture(normalize="none", temperature=2.0),
    "product": lambda: DirichletProduct(bank(), entropy(bank()), 4.0, temperature=2.0),
}


def make_student(network: str = "mlp", prior: str = "mixture, density", **more) -> Student:
    torch.manual_seed(0)
    return Student(NETWORKS[network](), PRIORS[prior](), **more)


def student_density(student: Student, **more) -> Density:
    return Density(student, student.rows((X, Y)), **more)


# ---- Pyro models of every site kind --------------------------------------------------------------------------


def normals(x: Tensor) -> None:
    loc = pyro.sample("loc", dist.Normal(1.0, 2.0))
    slope = pyro.sample("slope", dist.Normal(torch.zeros(2, 3), 1.0).to_event(2))
    whole = pyro.sample(
        "whole", dist.MultivariateNormal(torch.zeros(2), torch.tensor([[2.0, 0.5], [0.5, 1.0]]))
    )
    with pyro.plate("data", len(x)):
        pyro.sample("obs", dist.Normal(loc + slope.sum() + whole.sum(), 1.0), obs=x)


def positives(x: Tensor) -> None:
    precision = pyro.sample("precision", dist.Gamma(3.0, 2.0))
    with pyro.plate("groups", 4):
        scale = pyro.sample("scale", dist.HalfNormal(2.0))
        pyro.sample("rate", dist.LogNormal(0.0, 1.0))
    with pyro.plate("data", len(x)):
        pyro.sample("obs", dist.Normal(0.0, precision.rsqrt() * scale.prod()), obs=x)


def simplices(x: Tensor) -> None:
    with pyro.plate("two", 2):
        p = pyro.sample("p", dist.Dirichlet(torch.tensor([2.0, 1.0, 0.5, 3.0])))
    weight = pyro.sample("weight", dist.Dirichlet(torch.tensor([1.5, 2.5])))
    with pyro.plate("data", len(x)):
        pyro.sample("obs", dist.Categorical(weight @ p), obs=(x > 0).long())


def intervals(x: Tensor) -> None:
    share = pyro.sample("share", dist.Beta(2.0, 3.0))
    bounded = pyro.sample("bounded", dist.Uniform(-1.0, torch.tensor([2.0, 3.0])).to_event(1))
    with pyro.plate("data", len(x)):
        pyro.sample("obs", dist.Normal(share * bounded.sum(), 1.0), obs=x)


def correlations(x: Tensor) -> None:
    factor = pyro.sample("factor", dist.LKJCholesky(3, torch.tensor(1.5)))
    scale = pyro.sample("scale", dist.HalfCauchy(torch.ones(3)).to_event(1))
    with pyro.plate("data", len(x)):
        tril = scale[:, None] * factor
        pyro.sample(
            "obs", dist.MultivariateNormal(torch.zeros(3), scale_tril=tril), obs=x[:, None].expand(-1, 3)
        )


def hierarchical(x: Tensor) -> None:
    """Latents under scale, mask and a factor; one local latent a row."""
    spread = pyro.sample("spread", dist.HalfNormal(1.0))
    with pyro.plate("data", len(x)):
        local = pyro.sample("local", dist.Normal(0.0, spread))
        with poutine.scale(scale=0.3), poutine.mask(mask=x > 0):
            pyro.sample("obs", dist.StudentT(4.0, local, 1.0), obs=x)
    pyro.factor("pull", -local.square().sum() * spread)


class WithParameters(pyro.nn.PyroModule):
    """A Pyro module with a sampled attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = pyro.nn.PyroSample(dist.Gamma(2.0, 2.0))

    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("obs", dist.Normal(0.0, self.scale), obs=x)


SITE_KINDS = {f.__name__: f for f in (normals, positives, simplices, intervals, correlations, hierarchical)}
SITE_KINDS["module"] = WithParameters()


def by_hand(model, tensors: tuple[Tensor, ...], unconstrained: dict[str, Tensor]) -> Tensor:
    """Pyro's trace conditioned on transformed values, plus the Jacobians, by autograd outside our code."""
    with torch.random.fork_rng():
        prototype = poutine.trace(model).get_trace(*tensors)
    values, jacobian = {}, torch.zeros((), dtype=torch.float64)
    for name, z in unconstrained.items():
        transform = biject_to(prototype.nodes[name]["fn"].support)
        values[name] = transform(z)
        jacobian = jacobian + transform.log_abs_det_jacobian(z, values[name]).double().sum()
    trace = poutine.trace(poutine.condition(model, data=values)).get_trace(*tensors)
    return trace.log_prob_sum().double() + jacobian


def check_against_pyro(
    density: Density, tensors: tuple[Tensor, ...], held: dict[str, Tensor] | None = None
) -> None:
    """Values and gradients of two vectors, 1e-5 relative to the largest number."""
    model = poutine.condition(density.model, data=held) if held else density.model
    theta = 0.5 * torch.randn(2, density.dim, generator=generator(3), dtype=density.dtype)
    value, grad = density.value_and_grad(theta)
    with torch.random.fork_rng():
        _, potential, _, _ = initialize_model(model, model_args=tensors)
    for c in range(2):
        leaves = {
            name: z.detach().clone().requires_grad_() for name, z in density.unconstrained(theta[c]).items()
        }
        expected = by_hand(model, tensors, leaves)
        grads = torch.autograd.grad(expected, list(leaves.values()))
        flat = torch.cat([g.flatten() for g in grads])
        assert value[c].item() == pytest.approx(expected.item(), rel=1e-5)
        assert value[c].item() == pytest.approx(-potential(leaves).item(), rel=1e-5)
        assert (grad[c] - flat).abs().max() <= 1e-5 * flat.abs().max().clamp(min=1.0)


@pytest.fixture
def default_dtype(request):
    """Models that make their own constants make them in this precision."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(before)


@pytest.mark.parametrize("default_dtype", [torch.float32, torch.float64], indirect=True)
@pytest.mark.parametrize("name", list(SITE_KINDS))
def test_every_site_kind_is_pyros(name, default_dtype):
    x = X[:, 0].to(default_dtype)
    model = SITE_KINDS[name]
    if name == "positives":
        x = x + 0.1
    # LKJ's own constants are float64 here only where the default is.
    with pyro.validation_enabled(False):
        check_against_pyro(Density(model, (x,), dtype=default_dtype), (x,))


@pytest.mark.parametrize(
    ("network", "dtype"),
    [(name, torch.float64) for name in NETWORKS]
    + [(name, torch.float32) for name in ("mlp", "cnn", "Normed")],
)
def test_every_network_is_pyros(network, dtype):
    student = make_student(network, weight_prior=NormalWeights(0.8, "fan_in"))
    density = student_density(student, dtype=dtype)
    check_against_pyro(density, density.tensors)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("prior", list(PRIORS))
def test_every_prior_is_pyros(prior, dtype):
    student = make_student("mlp", prior, strength=0.3, weight_prior=NormalWeights(0.8))
    density = student_density(student, dtype=dtype)
    check_against_pyro(density, density.tensors)


# ---- the flat vector -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(SITE_KINDS))
def test_flat_and_constrained_are_each_others_inverse(name):
    density = Density(SITE_KINDS[name], (X[:, 0],), dtype=torch.float64)
    theta = torch.randn(2, 4, density.dim, generator=generator(4), dtype=torch.float64)
    values = density.unflatten(theta)
    prototype = poutine.trace(SITE_KINDS[name]).get_trace(X[:, 0])
    for site in density.sites:
        assert values[site.name].shape == (2, 4, *prototype.nodes[site.name]["value"].shape)
        assert prototype.nodes[site.name]["fn"].support.check(values[site.name]).all()
    torch.testing.assert_close(density.flatten(values), theta, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(
        density.flatten(density.unflatten(theta[0, 0])), theta[0, 0], rtol=1e-8, atol=1e-8
    )


def test_sites_lie_one_behind_the_other():
    density = Density(simplices, (X[:, 0],))
    assert [(s.name, s.start, s.size) for s in density.sites] == [("p", 0, 6), ("weight", 6, 1)]
    assert density.dim == 7


def test_a_missing_site_is_named():
    with pytest.raises(InputError, match="no value for site 'weight'"):
        Density(simplices, (X[:, 0],)).flatten({"p": torch.full((2, 4), 0.25)})


# ---- batches -------------------------------------------------------------------------------------------------


def full_and_theta(**more):
    density = student_density(make_student("linear"), dtype=torch.float64, **more)
    return density, 0.5 * torch.randn(2, density.dim, generator=generator(5), dtype=torch.float64)


@pytest.mark.parametrize(
    "execution",
    [Execution(rows=1), Execution(rows=4), Execution(rows=4, loop=True), Execution(loop=True)],
    ids=str,
)
def test_chunks_of_rows_and_chains_one_by_one_are_exact(execution):
    density, theta = full_and_theta()
    other = density.with_execution(execution)
    value, grad = density.value_and_grad(theta)
    other_value, other_grad = other.value_and_grad(theta)
    torch.testing.assert_close(value, other_value, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(grad, other_grad, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(density.log_prob(theta), value, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(other.log_prob(theta), value, rtol=1e-10, atol=1e-10)


def test_mini_batches_are_unbiased():
    """Over a partition, weighted by their rows, their mean is the whole: value and gradient."""
    density, theta = full_and_theta()
    value, grad = density.value_and_grad(theta)
    parts = torch.randperm(N, generator=generator(6)).split(4)
    got = [density.value_and_grad(theta, density.batch(rows)) for rows in parts]
    shares = [len(rows) / N for rows in parts]
    torch.testing.assert_close(sum(s * v for s, (v, _) in zip(shares, got, strict=True)), value)
    torch.testing.assert_close(sum(s * g for s, (_, g) in zip(shares, got, strict=True)), grad)
    assert (got[0][0] - value).abs().min() > 1e-3  # and not each the whole already


def test_a_batch_is_rows_and_their_scale():
    density, _ = full_and_theta()
    x, y, *_, scale = density.batch(torch.tensor([7, 2]))
    assert torch.equal(x, X[[7, 2]].double())
    assert torch.equal(y, Y[[7, 2]])
    assert scale.item() == N / 2


def test_a_model_without_scale_takes_no_batches():
    density = Density(normals, (X[:, 0],))
    assert density.num_rows == 1
    with pytest.raises(InputError, match="cannot be given mini-batches"):
        density.batch(torch.tensor([0]))


# ---- restriction ---------------------------------------------------------------------------------------------


def test_restriction_is_the_density_with_the_others_held():
    density = student_density(make_student(), dtype=torch.float64)
    theta = torch.randn(2, density.dim, generator=generator(5), dtype=torch.float64)
    values = density.unflatten(theta[0])
    names = ["0.bias", "2.weight"]
    part = density.restrict(names, values)
    own = torch.cat([theta[:1, s.start : s.start + s.size] for s in density.sites if s.name in names], -1)
    value, grad = part.value_and_grad(own)
    whole_value, whole_grad = density.value_and_grad(theta[:1])
    torch.testing.assert_close(value, whole_value)
    expected = [whole_grad[:, s.start : s.start + s.size] for s in density.sites if s.name in names]
    torch.testing.assert_close(grad, torch.cat(expected, -1))
    assert set(part.unflatten(own)) == set(values)
    assert torch.equal(part.unflatten(own)["0.weight"][0], values["0.weight"])


def test_restriction_holds_constrained_sites_too():
    density = Density(positives, (X[:, 0],), dtype=torch.float64)
    theta = 0.3 * torch.randn(density.dim, generator=generator(7), dtype=torch.float64)
    part = density.restrict(["scale"], density.unflatten(theta))
    held = {name: value for name, value in density.unflatten(theta).items() if name != "scale"}
    with pyro.validation_enabled(False):
        check_against_pyro(part, (X[:, 0].double(),), held)


def test_restriction_to_nothing_is_refused():
    density, theta = full_and_theta()
    with pytest.raises(InputError, match=r"no site of the model is in \['9.weight'\]"):
        density.restrict(["9.weight"], density.unflatten(theta[0]))


# ---- terms ---------------------------------------------------------------------------------------------------


def test_terms_add_up():
    density, theta = full_and_theta()
    terms = density.terms(theta)
    assert set(terms) == {s.name for s in density.sites} | {"labels", "teachers"}
    torch.testing.assert_close(sum(terms.values()), density.log_prob(theta))


def test_terms_leave_out_the_jacobian():
    density = Density(positives, (X[:, 0],), dtype=torch.float64)
    theta = 0.3 * torch.randn(2, density.dim, generator=generator(8), dtype=torch.float64)
    jacobian = theta.sum(-1)  # the log-Jacobian of exp is its argument
    torch.testing.assert_close(sum(density.terms(theta).values()) + jacobian, density.log_prob(theta))


# ---- the graph -----------------------------------------------------------------------------------------------


@pytest.fixture
def traced(monkeypatch) -> list:
    """One entry for each graph that is traced."""
    calls = []

    def counted(function, inputs, compiled, most):
        calls.append(tuple(tuple(t.shape) for t in inputs))
        return trace_hoisted(function, inputs, compiled, most)

    monkeypatch.setattr(mtbkd.density, "trace_hoisted", counted)
    return calls


def test_a_shape_is_traced_once(traced):
    density, theta = full_and_theta()
    for step in range(5):
        rows = torch.randperm(N, generator=generator(step))[:4]
        density.value_and_grad(theta + step, density.batch(rows))
        density.value_and_grad(theta - step)
        density.log_prob(theta * step)
    assert len(traced) == 3
    density.value_and_grad(theta[:1])
    assert len(traced) == 4


def test_a_loop_traces_one_chain(traced):
    density, theta = full_and_theta(execution=Execution(loop=True))
    for chains in (theta, theta.repeat(3, 1)):
        density.value_and_grad(chains)
    assert len(traced) == 1


def test_planning_keeps_what_it_traced(traced):
    density, theta = full_and_theta()
    planned = density.plan(num_chains=1, evaluations=10)
    planned.value_and_grad(theta[:1])
    assert len(traced) == 1


@pytest.mark.parametrize("prior", list(PRIORS))
@pytest.mark.parametrize("num_chains", [1, 2])
def test_the_graph_holds_no_data_and_makes_no_index(prior, num_chains):
    density = student_density(make_student(prior=prior))
    theta = torch.zeros(num_chains, density.dim)
    module = density.graph("value_and_grad", theta, density.full).module
    constants = [getattr(module, n.target) for n in module.graph.nodes if n.op == "get_attr"]
    assert all(N not in c.shape for c in constants)
    assert all(c.numel() <= 1 for c in constants)
    made = [str(n.target) for n in module.graph.nodes if n.op == "call_function"]
    # An index tensor made inside crashes the compiled backward on a CPU.
    assert not [name for name in made if "arange" in name or "aten.index" in name or "nonzero" in name]


def test_fresh_data_go_through_the_same_graph(traced):
    student = make_student("linear")
    density = student_density(student)
    theta = torch.randn(2, density.dim, generator=generator(9))
    density.value_and_grad(theta)
    fresh = tuple(t.flip(0) + (0.1 if t.is_floating_point() else 0) for t in density.tensors)
    value, grad = density.value_and_grad(theta, (*fresh, density.scalar(1.0)))
    assert len(traced) == 1
    expected = Density(student, fresh).value_and_grad(theta)
    torch.testing.assert_close(value, expected[0])
    torch.testing.assert_close(grad, expected[1])


# ---- how to run ----------------------------------------------------------------------------------------------


def test_the_plan_is_by_size():
    density = student_density(make_student())
    few, many = density.plan(2, evaluations=10), density.plan(2, evaluations=10**9)
    assert few.execution == Execution()
    assert many.execution == Execution(compiled=True)
    assert density.plan(2, 10**9, compiled="never").execution == Execution()
    assert density.plan(2, 1, compiled="always").execution == Execution(compiled=True)
    convolutional = student_density(make_student("cnn"))
    assert convolutional.plan(2, 10).execution == Execution(loop=True)


def test_the_plan_bounds_memory_by_rows():
    density = student_density(make_student())
    whole = density.plan(2, 10, memory=1e9).execution.rows
    some = density.plan(2, 10, memory=8_000).execution.rows
    fewer = density.plan(8, 10, memory=8_000).execution.rows
    assert whole is None
    graph = density.graph("value_and_grad", torch.zeros(1, density.dim), density.full)
    size = GraphSize.of(graph.module, N, {density.dim, *(site.size for site in density.sites)})
    assert 0 < size.bytes_of_rows < size.bytes
    assert some == int(N * 8_000 / 2 / size.bytes_of_rows) < N
    # Weights' own intermediates, which every chunk has, never outweigh the rows'.
    least = int(N * (size.bytes - size.bytes_of_rows) / size.bytes_of_rows)
    assert (
        fewer == density.plan(8, 10, memory=1.0).execution.rows == least > N * 8_000 / 8 / size.bytes_of_rows
    )
    looped = student_density(make_student("cnn"))
    assert looped.plan(8, 10, memory=1e5).execution.rows == looped.plan(1, 10, memory=1e5).execution.rows


def test_a_wide_network_is_not_cut_for_what_its_weights_take():
    """Its gradient writes some dozen copies of 125,000 weights a chain, whatever the rows."""
    wide = student_density(Student(mlp(6, [400, 300], K)))
    assert wide.plan(16, 10, memory=1e6).execution.rows is None
    assert wide.plan(16, 10, batch_size=4, memory=1e6).execution.rows is None


@pytest.mark.parametrize(
    ("most", "sizes"),
    [(11, [11]), (10, [5, 5, 1]), (5, [3, 3, 3, 2]), (3, [2, 2, 2, 2, 2, 1]), (1, [1] * 11)],
    ids=str,
)
def test_chunks_are_of_one_size_and_what_is_left_over_is_little(most, sizes):
    density, theta = full_and_theta()
    assert N == 11
    other = density.with_execution(Execution(rows=most))
    assert [len(chunk[0]) for chunk in other.slices] == sizes
    assert [chunk[-1].item() for chunk in other.slices] == pytest.approx([N / size for size in sizes])
    batch = density.batch(torch.tensor([8, 1, 5, 2, 9]))
    for one, two in zip(
        density.value_and_grad(theta, batch), other.value_and_grad(theta, batch), strict=True
    ):
        torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-10)


def test_what_chunks_leave_over_is_not_compiled():
    density = student_density(make_student()).with_execution(Execution(compiled=True, rows=5))
    theta = torch.zeros(2, density.dim)
    assert density.graph("value_and_grad", theta, density.slices[0]).compiled is not None
    assert density.graph("value_and_grad", theta, density.slices[-1], left_over=True).compiled is None
    assert density.graph("value_and_grad", theta, density.slices[-1]).compiled is not None


def test_planning_runs_the_model_on_few_rows(monkeypatch):
    monkeypatch.setattr(mtbkd.planning, "PLANNING_ROWS", 3)
    monkeypatch.setattr(mtbkd.planning, "PLANNING_NUMBERS", 0)
    seen = []

    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(6, K)

        def forward(self, x: Tensor) -> Tensor:
            seen.append(len(x))
            return self.head(x)

    student = Student(Counting())
    density = student_density(student)
    density.plan(2, 10)
    density.plan(2, 10, batch_size=5)
    assert max(seen) == 3


def test_the_graph_that_was_planned_by_is_the_one_that_runs(monkeypatch):
    """Of few numbers, all rows at once and one chain: they are traced once."""
    monkeypatch.setattr(mtbkd.planning, "PLANNING_ROWS", 3)
    density = student_density(make_student())
    planned = density.plan(1, 10)
    (planned_by,) = planned.graphs.values()
    planned.value_and_grad(torch.zeros(1, density.dim))
    assert list(planned.graphs.values()) == [planned_by]


def test_another_execution_has_graphs_of_its_own():
    density, theta = full_and_theta()
    density.value_and_grad(theta)
    assert density.with_execution(density.execution).graphs is density.graphs
    assert density.with_execution(Execution(loop=True)).graphs == {}


def test_other_data_of_the_same_shapes_share_the_graphs():
    density, theta = full_and_theta()
    before = density.value_and_grad(theta)
    other = tuple(t.flip(0) if i else 2 * t for i, t in enumerate(density.tensors))
    changed = density.with_tensors(other)
    value, grad = changed.value_and_grad(theta)
    assert changed.graphs is density.graphs
    assert len(density.graphs) == 1
    fresh, fresh_grad = Density(density.model, other, dtype=density.dtype).value_and_grad(theta)
    torch.testing.assert_close((value, grad), (fresh, fresh_grad))
    assert not torch.allclose(value, before[0])
    torch.testing.assert_close(density.value_and_grad(theta), before)


def test_fewer_tensors_than_the_model_takes_are_refused():
    density, _ = full_and_theta()
    with pytest.raises(InputError, match="give as many"):
        density.with_tensors(density.tensors[1:])


# ---- refusals ------------------------------------------------------------------------------------------------


def discrete(x: Tensor) -> None:
    coin = pyro.sample("coin", dist.Bernoulli(0.5))
    with pyro.plate("data", len(x)):
        pyro.sample("obs", dist.Normal(coin, 1.0), obs=x)


def counting(x: Tensor) -> None:
    pyro.sample("loc", dist.Normal(0.0, 1.0))
    pyro.sample("count", dist.Poisson(3.0))


def subsampled(x: Tensor) -> None:
    loc = pyro.sample("loc", dist.Normal(0.0, 1.0))
    with pyro.plate("people", len(x), subsample_size=3) as rows:
        pyro.sample("obs", dist.Normal(loc, 1.0), obs=x[rows])


def moving_support(x: Tensor) -> None:
    top = pyro.sample("top", dist.HalfNormal(1.0))
    pyro.sample("below", dist.Uniform(0.0, top))


def now_and_then(x: Tensor) -> None:
    loc = pyro.sample("loc", dist.Normal(0.0, 1.0))
    now_and_then.runs = getattr(now_and_then, "runs", 0) + 1
    if now_and_then.runs % 2:
        pyro.sample("extra", dist.Normal(loc, 1.0))


def one_a_row(x: Tensor, scale: Tensor | None = None) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("own", dist.Normal(0.0, 1.0))


def nothing_latent(x: Tensor) -> None:
    pyro.sample("obs", dist.Normal(torch.zeros(len(x)), 1.0).to_event(1), obs=x)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (discrete, r"site 'coin' \(Bernoulli\) is discrete"),
        (counting, r"site 'count' \(Poisson\) is discrete"),
        (subsampled, "plate 'people' subsamples its rows at random"),
        (nothing_latent, "no continuous latent site"),
        (moving_support, "support of site 'below' depends on other sites"),
        (now_and_then, "other sites when run again"),
        (one_a_row, r"site 'own' has shape \(2,\) and, with fewer rows, \(1,\)"),
    ],
)
def test_what_cannot_be_traced_is_refused_by_name(model, message):
    with pytest.raises(InputError, match=message):
        Density(model, (X[:, 0],))


def test_parameters_are_told_as_held():
    def model(x: Tensor) -> None:
        loc = pyro.sample("loc", dist.Normal(0.0, 1.0))
        with pyro.plate("data", len(x)):
            pyro.sample("obs", dist.Normal(loc, pyro.param("spread", torch.tensor(2.0))), obs=x)

    with pyro.get_param_store().scope(), pytest.warns(UserWarning, match=r"parameters \(spread\) are held"):
        density = Density(model, (X[:, 0],))
    theta = torch.tensor([[0.3]])
    with pyro.get_param_store().scope():
        expected = dist.Normal(0.0, 1.0).log_prob(theta[0]) + dist.Normal(0.3, 2.0).log_prob(X[:, 0]).sum()
        torch.testing.assert_close(density.log_prob(theta), expected)


def test_finding_sites_leaves_the_global_generator():
    before = torch.get_rng_state()
    Density(normals, (X[:, 0],))
    assert torch.equal(torch.get_rng_state(), before)


# ---- compiled ------------------------------------------------------------------------------------------------


@pytest.mark.compile
@pytest.mark.filterwarnings("error:.*going on with the eager graph")
@pytest.mark.parametrize("network", ["mlp", "cnn"])
def test_compiled_is_eager(network):
    student = make_student(network)
    execution = Execution(compiled=True, loop=network == "cnn")
    compiled, eager = student_density(student, execution=execution), student_density(student)
    theta = 0.5 * torch.randn(2, eager.dim, generator=generator(10))
    for seed in range(3):
        rows = torch.randperm(N, generator=generator(seed))[:6]
        expected = eager.value_and_grad(theta, eager.batch(rows))
        got = compiled.value_and_grad(theta, compiled.batch(rows))
        torch.testing.assert_close(got[0], expected[0], rtol=1e-5, atol=1e-4)
        torch.testing.assert_close(got[1], expected[1], rtol=1e-4, atol=1e-4)
    assert all(graph.trusted for graph in compiled.graphs.values())
