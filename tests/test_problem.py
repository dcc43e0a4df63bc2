import dataclasses

import pytest
import tiny_runs
import torch

from mtbkd.errors import InputError
from mtbkd.fitting import fit
from mtbkd.inference import SVIConfig
from mtbkd.problem import ask, make_student, prepare
from mtbkd.progress import Progress
from mtbkd.students import NormalWeights, PosteriorWeights, Student, mlp
from mtbkd.teachers.teacher import Recipe


def test_mistakes_are_found_before_a_teacher_is_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(Recipe, "trained", lambda self, progress=None: pytest.fail("trained"))
    words = tiny_runs.tiny_overrides(tmp_path)
    trains = "+teachers.members.slow={kind: estimator, estimator: random_forest}"
    wrong = {
        "inputs have shape": ["student=cnn"],
        "layer": ["student.bayesian=lats"],
        "no file": ["teachers.members.drawn.path=gone.npz"],
        "has no parameter 'trees'": ["+teachers.members.more={kind: estimator, params: {trees: 3}}"],
        "device": ["device=gpu"],
        "weighting 'stacking': there is no labelled held": [
            "weighting=stacking",
            "data.validation_fraction=0",
        ],
        "temperature 'calibrated': there is no": ["temperature=calibrated", "data.validation_fraction=0"],
        "set it above 0": ["student.bayesian=last", "inference=svi", "inference.warm_start=0"],
    }
    for told, more in wrong.items():
        kept = [word for word in words if not (more[0] == "student=cnn" and word.startswith("student."))]
        with pytest.raises(InputError, match=told):
            prepare(tiny_runs.resolved(*kept, trains, *more))


def test_broken_predictions_are_refused_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(Recipe, "trained", lambda self, progress=None: pytest.fail("trained"))
    words = tiny_runs.tiny_overrides(tmp_path)
    (tmp_path / "sharp.npz").write_bytes((tmp_path / "sharp.npz").read_bytes()[:200])
    with pytest.raises(InputError, match="truncated"):
        prepare(tiny_runs.resolved(*words))


def test_a_network_of_other_classes_is_refused(tmp_path):
    words = [word for word in tiny_runs.tiny_overrides(tmp_path) if not word.startswith("student.")]
    module = [
        "student=module",
        "student.factory=torch.nn:Linear",
        "+student.kwargs={in_features:2,out_features:5}",
    ]
    with pytest.raises(InputError, match=r"network gives shape \(2, 5\)"):
        prepare(tiny_runs.resolved(*words, *module))


def test_the_identity_changes_with_what_a_run_is_made_from(tmp_path):
    words = tiny_runs.tiny_overrides(tmp_path)
    before = prepare(tiny_runs.resolved(*words))
    assert prepare(tiny_runs.resolved(*words)).identity == before.identity
    tiny_runs.write_teacher(tmp_path, "drawn", 1.0, draws=4)
    after = prepare(tiny_runs.resolved(*words)).identity
    changed = {name for name in after if after[name] != before.identity[name]}
    assert changed == {"teacher 'drawn'"}
    fewer = dataclasses.replace(
        before.data, pool=before.data.pool.take(torch.arange(5)), teacher_y=before.data.teacher_y[:5]
    )
    identity = dataclasses.replace(before, data=fewer).identity
    assert {name for name in identity if identity[name] != before.identity[name]} == {"data, pool"}


def test_temperature_is_applied_before_the_weights(tmp_path):
    words = tiny_runs.tiny_overrides(tmp_path)
    config = tiny_runs.resolved(*words, "temperature.value=2")
    problem = ask(config, prepare(config), Progress())
    plain = tiny_runs.resolved(*words)
    untempered = ask(plain, prepare(plain), Progress())
    torch.testing.assert_close(
        problem.banks["pool"].predictions[0], untempered.banks["pool"].predictions[0] / 2
    )
    p = problem.banks["pool"].mean_probs()
    entropy = -(p * p.log()).sum(-1).T
    torch.testing.assert_close(problem.weights.teachers.float(), 1 - entropy / entropy.sum(-1, keepdim=True))


def earlier(folder, hidden, seed=0):
    """The folder of a posterior of the table's student."""
    x = torch.randn(6, 2, generator=torch.Generator().manual_seed(seed))
    student = Student(mlp(2, hidden, 3), weight_prior=NormalWeights(1.0))
    few = SVIConfig(steps=5, warm_start=5, draws=8)
    fit(student, (x, torch.tensor([0, 1, 2] * 2)), few, seed=seed, progress=False).save(folder)
    return folder


@pytest.mark.filterwarnings("ignore:.*times as far apart")
def test_the_weight_prior_may_be_made_of_posteriors(tmp_path):
    """The student's and the label-only student's, of the folders' posteriors, which the run's identity names."""
    first, second = (earlier(tmp_path / name, [4], seed) for seed, name in enumerate(("first", "second")))
    words = [*tiny_runs.tiny_overrides(tmp_path), f"student.prior_from=['{first}','{second}']"]
    config = tiny_runs.resolved(*words, "student.prior_pool=mixture", "student.prior_widen=2")
    ingredients = prepare(config)
    named = {f"weight prior '{folder}'" for folder in (first, second)}
    assert named == {name for name in ingredients.identity if name.startswith("weight prior")}
    problem = ask(config, ingredients, Progress())
    for prior in (problem.prior, None):
        made = make_student(config, problem.data, prior).weight_prior
        assert isinstance(made, PosteriorWeights)
        assert made.record() == {
            "name": "posterior",
            "pool": "mixture",
            "widen": 2.0,
            "posteriors": [str(first), str(second)],
        }
    before = ingredients.identity
    earlier(second, [4], seed=2)
    assert [n for n, v in prepare(config).identity.items() if v != before[n]] == [f"weight prior '{second}'"]


def test_a_weight_prior_of_another_network_or_none_is_refused(tmp_path):
    words = tiny_runs.tiny_overrides(tmp_path)
    wide = earlier(tmp_path / "wide", [5])
    with pytest.raises(InputError, match=r"parameter '0\.weight' is \(5, 2\) in the file and \(4, 2\)"):
        prepare(tiny_runs.resolved(*words, f"student.prior_from=['{wide}']"))
    with pytest.raises(InputError, match=r"student\.prior_from: no file .*did you mean 'wide'"):
        prepare(tiny_runs.resolved(*words, f"student.prior_from=['{tmp_path / 'wied'}']"))
    with pytest.raises(InputError, match=r"student\.prior_widen is 0\.5"):
        tiny_runs.resolved(*words, "student.prior_widen=0.5")
