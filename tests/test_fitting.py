"""What `fit` asks of a model and its data, and how it hands them on."""

from dataclasses import replace

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor
from user_networks import Normed, Recurrent

import mtbkd.density
import mtbkd.fitting
from mtbkd.data.distillation import DistillationData, Rows
from mtbkd.errors import InputError
from mtbkd.fitting import fit, pick_device
from mtbkd.inference import HMCConfig, MAPConfig, NUTSConfig, PyroSVIConfig, SVIConfig
from mtbkd.priors import DirichletMixture
from mtbkd.progress import Progress
from mtbkd.students import Student, mlp
from mtbkd.teachers.bank import TeacherBank
from mtbkd.weighting import entropy

pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop", "ignore:.*no labelled example")

N, K = 12, 3
X = torch.randn(N, 6, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2, -1, -1, -1, 0, 1, -1, -1, -1, 2])
MAP = MAPConfig(steps=3)


def rows(x: Tensor, y: Tensor) -> Rows:
    return Rows(x, y, np.arange(len(x)).astype(str), torch.arange(len(x)))


def problem() -> DistillationData:
    known = Y.clamp(min=0)
    return DistillationData(
        "toy", rows(X, Y), rows(X, known), rows(X, known), ("a", "b", "c"), teacher_y=known
    )


def prior() -> DirichletMixture:
    z = torch.randn(2, N, K, generator=torch.Generator().manual_seed(1))
    bank = TeacherBank.from_logits({"a": z[0], "b": z[1]}, inputs=X)
    return DirichletMixture(bank, entropy(bank))


def regression(x: Tensor, y: Tensor) -> None:
    slope = pyro.sample("slope", dist.Normal(0.0, 1.0))
    with pyro.plate("data", len(x)):
        pyro.sample("y", dist.Normal(slope * x, 1.0), obs=y)


LINE = (X[:, 0], 2 * X[:, 0])


def test_data_in_any_form_is_the_same_fit():
    student = Student(mlp(6, [4], K), prior())
    forms = (problem(), (X, Y), (X.numpy(), Y.numpy()), (X.double(), Y))
    tops = [fit(student, data, MAP, progress=False).values["0.weight"] for data in forms]
    assert all(torch.equal(tops[0], top) for top in tops)


def test_an_engine_by_its_name_has_its_defaults():
    posterior = fit(regression, LINE, "map", progress=False)
    assert posterior.meta["config"] == {**MAPConfig().__dict__}
    # sum x y / (1 + sum x^2): the posterior mean with unit prior and noise
    expected = (2 * X[:, 0].square().sum() / (1 + X[:, 0].square().sum())).item()
    assert posterior.values["slope"].item() == pytest.approx(expected, rel=1e-3)


def test_the_model_is_a_function_or_a_module_and_its_data_arrays():
    class Line(pyro.nn.PyroModule):
        def forward(self, x: Tensor, y: Tensor) -> None:
            regression(x, y)

    numpy = tuple(t.numpy() for t in LINE)
    tops = [
        fit(m, d, MAP, progress=False).values["slope"] for m in (regression, Line()) for d in (LINE, numpy)
    ]
    assert all(torch.equal(tops[0], top) for top in tops)


@pytest.mark.parametrize(
    "inference",
    [
        SVIConfig(steps=3, warm_start=2, draws=2),
        NUTSConfig(num_chains=1, warmup=2, draws=2, warm_start=2),
        PyroSVIConfig(steps=3, warm_start=2, draws=2),
        HMCConfig(num_chains=2, warmup=20, draws=2, warm_start=2, max_leapfrogs=2),
    ],
)
def test_every_engine_takes_students_whole_and_in_part(inference):
    for bayesian in ("all", ["0"]):
        student = Student(mlp(6, [4], K), prior(), bayesian=bayesian)
        posterior = fit(student, (X, Y), inference, progress=False)
        assert set(posterior.values) == set(student.bayesian)
        assert set(posterior.samples()) == set(student.skeleton.shapes)
        assert posterior.predict(X).probs.shape == (posterior.num_chains * posterior.num_draws, N, K)
        assert torch.isfinite(posterior.log_density).all()


def test_networks_of_users_go_through():
    for network in (Normed(), Recurrent()):
        posterior = fit(
            Student(network, prior()), (X, Y), SVIConfig(steps=3, warm_start=2, draws=2), progress=False
        )
        assert torch.isfinite(posterior.predict(X).probs).all()


def test_held_layers_need_a_map():
    student = Student(mlp(6, [4], K), prior(), bayesian="last")
    with pytest.raises(InputError, match="held at their MAP; set warm_start above 0"):
        fit(student, (X, Y), SVIConfig(steps=2, warm_start=0), progress=False)
    start = fit(student, (X, Y), MAP, progress=False)
    posterior = fit(student, (X, Y), SVIConfig(steps=2, warm_start=0, draws=2), start=start, progress=False)
    assert torch.equal(posterior.held["0.weight"], start.values["0.weight"][0, 0])


def test_the_density_is_traced_a_few_times_however_long_the_run(monkeypatch):
    calls = []
    trace_hoisted = mtbkd.density.trace_hoisted
    monkeypatch.setattr(
        mtbkd.density, "trace_hoisted", lambda *args: (calls.append(args), trace_hoisted(*args))[1]
    )
    counts = []
    for steps in (3, 30):
        calls.clear()
        config = SVIConfig(steps=steps, warm_start=steps, batch_size=5, draws=steps)
        fit(Student(mlp(6, [4], K), prior()), (X, Y), config, progress=False)
        counts.append(len(calls))
    # gradients of a mini-batch, log density of all rows: one graph each
    assert counts[0] == counts[1] <= 2


def test_the_plan_is_made_for_the_whole_run(monkeypatch):
    planned = []
    plan = mtbkd.density.Density.plan
    monkeypatch.setattr(
        mtbkd.density.Density, "plan", lambda self, *args: (planned.append(args), plan(self, *args))[1]
    )
    config = HMCConfig(num_chains=3, warmup=20, draws=10, warm_start=7, max_leapfrogs=8)
    posterior = fit(Student(mlp(6, [4], K), prior()), (X, Y), config, compiled="never", progress=False)
    assert planned == [(3, 7, 256, "never"), (3, 30 * 8 // 2, None, "never")]
    assert posterior.meta["execution"] == {"compiled": False, "loop": False, "rows": None}


def test_stages_are_told():
    stages = []

    class Listening(Progress):
        def stage(self, name, total, done=0):
            stages.append((name, total))
            return super().stage(name, total)

    config = HMCConfig(num_chains=2, warmup=20, draws=2, warm_start=3, max_leapfrogs=2)
    fit(Student(mlp(6, [4], K), prior()), (X, Y), config, progress=Listening())
    assert stages == [("MAP", 3), ("HMC warm-up", 20), ("HMC", 2)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inference": "smc"}, "inference: unknown method 'smc'"),
        ({"inference": "hcm"}, "did you mean 'hmc'"),
        ({"compiled": "yes"}, "compiled: unknown value 'yes'"),
        ({"device": "gpu"}, "device 'gpu' is unknown; valid: auto, cpu, cuda"),
        ({"data": (X,)}, r"the model takes \['x', 'y'\], but 1 tensors were given"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        fit(regression, **{"data": LINE, "inference": MAP, "progress": False, **arguments})


def test_a_student_takes_inputs_and_labels():
    with pytest.raises(InputError, match=r"fitted to \(x, y\); 3 tensors"):
        fit(Student(mlp(6, [4], K)), (X, Y, Y), MAP, progress=False)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_there_is_told():
    assert pick_device("auto") == torch.device("cpu")
    with pytest.raises(InputError, match="no CUDA device; use cpu or auto"):
        pick_device("cuda")


def test_a_device_is_chosen_by_size(monkeypatch):
    """As if there were a CUDA device: where the density would be put is noted, and it stays where it is."""
    from mtbkd import fitting

    asked = []

    class Noted(fitting.Density):
        def __init__(self, *arguments, device, **named):
            asked.append(str(device))
            super().__init__(*arguments, device="cpu", **named)

    monkeypatch.setattr(fitting, "Density", Noted)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    large = Student(mtbkd.students.cnn((1, 28, 28), [32, 64], 3))
    images = large.rows((torch.zeros(128, 1, 28, 28), torch.zeros(128)))
    small = Student(mlp(6, [4], K))
    for student, tensors, expected in (
        (large, images, ["cpu", "cuda"]),
        (small, small.rows((X, Y)), ["cpu"]),
    ):
        asked.clear()
        fitting.placed(student, tensors, torch.float32, "auto", MAP)
        assert asked == expected
    asked.clear()
    fitting.placed(small, small.rows((X, Y)), torch.float32, "cuda", MAP)
    assert asked == ["cuda"]


def test_the_smallest_and_the_largest_problems():
    for n, k, m in ((1, 2, 1), (1, 1000, 2), (5, 2, 20)):
        x, y = torch.randn(n, 6), torch.zeros(n, dtype=torch.long)
        bank = TeacherBank.from_logits({f"t{i}": torch.randn(n, k) for i in range(m)}, inputs=x)
        student = Student(mlp(6, [], k), DirichletMixture(bank, entropy(bank)))
        posterior = fit(student, (x, y), replace(MAP, batch_size=2), progress=False)
        assert torch.isfinite(posterior.predict(x).probs).all()


def test_a_small_student_takes_one_thread_and_gives_the_others_back():
    x = torch.randn(300, 20, generator=torch.Generator().manual_seed(0))
    y = torch.arange(300) % 3
    config = mtbkd.inference.SVIConfig(steps=30, warm_start=30, draws=4)
    before = torch.get_num_threads()
    draws = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            student = mtbkd.Student(mtbkd.students.mlp(20, [8], 3))
            posterior = mtbkd.fit(student, (x, y), config, compiled="never", progress=False)
            draws.append(posterior.values["0.weight"])
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*draws)


def test_a_network_of_large_operations_keeps_its_threads():
    student = mtbkd.Student(mtbkd.students.cnn((1, 28, 28), [32, 64], 3))
    density = mtbkd.Density(student, student.rows((torch.zeros(128, 1, 28, 28), torch.zeros(128))))
    assert not density.plan(1, 10, 128).small
    small = mtbkd.Student(mtbkd.students.mlp(20, [8], 3))
    assert mtbkd.Density(small, small.rows((torch.zeros(64, 20), torch.zeros(64)))).plan(1, 10, 64).small
