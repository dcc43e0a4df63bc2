import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_runs
import torch

from mtbkd import registry
from mtbkd.evaluation.diagnostics import not_applicable
from mtbkd.fitting import fit
from mtbkd.problem import ask, make_student, prepare
from mtbkd.progress import Progress
from mtbkd.summary.findings import Models, find
from mtbkd.summary.metrics import metrics_of
from mtbkd.summary.page_content import facts, page_content, responsibilities, validation_uses
from mtbkd.weighting import Weights


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A tiny problem with outsiders, its student, and the content of its page."""
    folder = tmp_path_factory.mktemp("page")
    words = tiny_runs.tiny_overrides(folder, "hmc")
    outside = folder / "far.csv"
    outside.write_text("length,weight\n90,-90\n80,70\n")
    config = tiny_runs.resolved(*words, f"data.ood_path={outside}", "report.least_sure=3", "seed=2")
    problem = ask(config, prepare(config), Progress())
    student = make_student(config, problem.data, problem.prior)
    models = Models(fit(student, problem.data, config.inference, compiled="never", progress=False))
    findings = find(config, problem, models)
    metrics = metrics_of(problem, models, findings, {})
    return config, problem, models, page_content(config, problem, models, findings, metrics, "mtbkd x", ["w"])


def test_the_facts_are_told_in_words(told):
    config, problem, models, content = told
    labelled = int((problem.data.pool.y >= 0).sum())
    assert content.facts["Data"] == (
        f"animals: {len(problem.data.pool)} in the pool, {labelled} of them labelled; 6 validation; 6 test; "
        "2 out of distribution (rows of far); 3 classes"
    )
    assert content.facts["Teachers"] == "first, drawn"
    assert content.facts["Engine"] == "hmc: 2 chains of 6 draws"
    assert content.facts["Seed"] == "2"
    assert content.facts["Prior"].startswith(
        "dirichlet_mixture, concentration 5.0, strength 1.0, temperature 1.0"
    )
    assert content.facts["Teachers not asked"] == "ood: first, drawn without predictions there"
    assert content.title == "animals: 2 teachers, one Bayesian student"
    assert (content.command, content.warnings) == ("mtbkd x", ("w",))
    held = content.facts["Peak memory"]
    assert held.endswith("B")
    assert facts(config, problem, models.student) | {"Peak memory": held} == content.facts


def test_what_validation_labels_were_used_for(told, tmp_path):
    _, problem, _, content = told
    assert content.validation_uses == ()
    words = [*tiny_runs.tiny_overrides(tmp_path, "hmc"), "temperature=calibrated", "weighting=learned"]
    learned = tiny_runs.resolved(*words)
    both = ("to find the teachers' temperatures", "to weight the teachers")
    assert tuple(validation_uses(learned, problem)) == both
    one = dataclasses.replace(problem, prior=SimpleNamespace(names=("first",)), selection=object())
    assert tuple(validation_uses(learned, one)) == ("to choose the teachers", both[0])


def test_the_least_sure_inputs_come_first(told):
    _, problem, models, content = told
    said = models.student.predict(problem.data.test.x)
    order = said.total.argsort(descending=True)[:3].tolist()
    assert [item.id for item in content.least_sure] == [problem.data.test.ids[i] for i in order]
    first = content.least_sure[0]
    lower, upper = said.interval(0.9)
    np.testing.assert_allclose(first.student.lower, lower[order[0]], atol=1e-5)
    np.testing.assert_allclose(first.student.upper, upper[order[0]], atol=1e-5)
    assert first.truth == int(problem.data.test.y[order[0]])
    assert [opinion.name for opinion in first.teachers] == ["first", "drawn"]


def test_outsiders_have_their_name_and_uncertainty(told):
    _, problem, models, content = told
    assert content.ood.name == "rows of far"
    expected = models.student.predict(problem.data.ood.x)
    np.testing.assert_allclose(content.ood.total, expected.total, atol=1e-5)
    np.testing.assert_allclose(content.ood.epistemic, expected.epistemic, atol=1e-5)


def test_responsibilities_are_the_priors_at_the_draws(told):
    _, problem, models, content = told
    found = responsibilities(problem, models.student)
    assert found.shape == (len(problem.data.pool), 2)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)
    # log q and the logits differ by a constant of the row, which a softmax does not see.
    x, skeleton = problem.data.pool.x, models.student.skeleton
    draws = [
        {name: value[c, s] for name, value in models.student.values.items()}
        for c in range(2)
        for s in range(6)
    ]
    rows = torch.arange(len(x))
    each = [problem.prior.responsibilities(skeleton(weights, x), rows) for weights in draws]
    np.testing.assert_allclose(found, torch.stack(each).mean(0), atol=1e-4)
    np.testing.assert_allclose(content.voices.responsibilities, found)


def test_draws_in_double_precision_have_responsibilities_too(told):
    _, problem, models, content = told
    doubled = {name: value.double() for name, value in models.student.values.items()}
    found = responsibilities(problem, dataclasses.replace(models.student, values=doubled))
    np.testing.assert_allclose(found, content.voices.responsibilities, atol=1e-5)


def test_chains_are_shown_by_their_most_probable_class(told):
    _, problem, models, content = told
    n = len(problem.data.test)
    assert content.traces.probs.shape == (2, 6, n)
    mean = models.student.predict(problem.data.test.x).mean
    np.testing.assert_allclose(content.traces.probs.mean((0, 1)), mean.max(-1).values, atol=1e-5)
    k, name = problem.data.class_names[int(mean[0].argmax())], problem.data.test.ids[0]
    assert content.traces.labels[0] == f"p({k}) at {name}"


def test_energies_come_with_the_chains(told):
    _, _, models, content = told
    np.testing.assert_array_equal(content.traces.energy, models.student.stats["energy"])


@pytest.mark.parametrize(
    ("kind", "called"), [("point", "one student"), ("ensemble", "one ensemble of students")]
)
def test_modes_are_not_called_bayesian_and_have_no_chains(told, kind, called):
    config, problem, models, _ = told
    findings = find(config, problem, models)
    findings = dataclasses.replace(findings, diagnostics=not_applicable("modes", kind))
    metrics = metrics_of(problem, models, findings, {})
    content = page_content(config, problem, models, findings, metrics, "", [])
    assert content.title == f"animals: 2 teachers, {called}"
    assert content.traces is None


def test_one_teacher_is_one(told):
    config, problem, models, _ = told
    lone = dataclasses.replace(
        problem,
        banks={split: bank.select(["first"]) for split, bank in problem.banks.items()},
        weights=Weights(torch.ones(len(problem.data.pool), 1)),
    )
    prior = registry.find("prior", "dirichlet_mixture").build(config.prior, lone.banks["pool"], lone.weights)
    lone = dataclasses.replace(lone, prior=prior)
    findings = find(config, lone, models)
    content = page_content(config, lone, models, findings, metrics_of(lone, models, findings, {}), "", [])
    assert content.title == "animals: one teacher, one Bayesian student"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("permuted", "test digits with their pixels permuted"),
        ("rotated", "test digits turned by 90 degrees"),
    ],
)
def test_digits_say_which_outsiders_they_are(kind, words):
    config = tiny_runs.resolved(f"data.ood={kind}").data
    assert registry.find("data", "digits").load(config, 0).ood_name == words
