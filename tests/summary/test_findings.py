import pytest
import tiny_runs
import torch

from mtbkd.fitting import fit
from mtbkd.posterior import Posterior
from mtbkd.problem import ask, make_student, prepare
from mtbkd.progress import Progress
from mtbkd.summary.findings import Models, find


def tiny(folder, inference, *words):
    config = tiny_runs.resolved(*tiny_runs.tiny_overrides(folder, inference), *words)
    problem = ask(config, prepare(config), Progress())
    student = make_student(config, problem.data, problem.prior)
    posterior = fit(student, problem.data, config.inference, compiled="never", progress=False)
    return config, problem, posterior


@pytest.fixture(scope="module")
def chains(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("chains"), "hmc")


def test_each_split_is_predicted_once_by_each_model(chains, monkeypatch):
    config, problem, posterior = chains
    asked, predict = [], Posterior.predict
    monkeypatch.setattr(
        Posterior, "predict", lambda self, x: asked.append((id(self), len(x))) or predict(self, x)
    )
    kd = posterior.chains(slice(0, 1))
    findings = find(config, problem, Models(posterior, kd))
    n, held_out = len(problem.data.test), min(config.report.held_out, len(problem.data.test))
    v = len(problem.data.validation)
    expected = [(id(model), size) for model in (posterior, kd) for size in (v, n)]
    assert sorted(asked) == sorted([*expected, (id(posterior), held_out)])
    assert findings.students.keys() == {"student", "kd_student"}
    assert findings.teachers["test"].keys() == {"first", "drawn"}
    torch.testing.assert_close(
        findings.students["student"]["validation"].mean, posterior.predict(problem.data.validation.x).mean
    )


def test_held_out_rows_are_the_first_of_the_test(chains):
    config, problem, posterior = chains
    findings = find(config, problem, Models(posterior))
    torch.testing.assert_close(
        findings.held_out.probs, posterior.predict(problem.data.test.x[: len(findings.rows)]).probs
    )
    assert findings.rows.ids.tolist() == problem.data.test.ids[:16].tolist()
    assert findings.several


def test_without_test_rows_the_pool_stands_in(tmp_path):
    config, problem, posterior = tiny(tmp_path, "map", "data.test_fraction=0", "report.held_out=3")
    findings = find(config, problem, Models(posterior))
    assert findings.students["student"].keys() == {"validation"}
    assert findings.teachers.keys() == {"validation"}
    assert findings.rows.ids.tolist() == problem.data.pool.ids[:3].tolist()
    assert not findings.several


def test_the_teachers_draws_are_averaged(chains):
    config, problem, posterior = chains
    said = find(config, problem, Models(posterior)).teachers["test"]["drawn"]
    expected = torch.softmax(problem.banks["test"].predictions[1], -1)
    torch.testing.assert_close(said.mean, expected.mean(0))
    assert said.num_draws == 4
