import json

import pytest

from mtbkd.errors import InputError
from mtbkd.objective import VALIDATION_SCORES, objectives, reached, require_directions
from mtbkd.summary.metrics import SCORES

METRICS = {
    "student": {"nll": 0.5, "latency_ms": 2},
    "validation": {"student": {"nll": 0.25, "accuracy": 0.75, "ece": None}, "kd_student": None},
    "timing": {"student_s": 7.5},
    "diagnostics": {"verdict": "converged", "numbers": {"rhat": 1.01}},
}


@pytest.fixture
def run(tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    return tmp_path


@pytest.mark.parametrize(
    ("names", "value"),
    [
        (["validation.student.nll"], 0.25),
        (["student.latency_ms"], 2.0),
        (["validation.student.accuracy", "timing.student_s"], [0.75, 7.5]),
        (["diagnostics.numbers.rhat"], 1.01),
    ],
)
def test_what_a_run_reached(run, names, value):
    assert reached(run, objectives(names)) == value


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("diagnostics.numbers.rha", "metrics.json has no 'rha'; did you mean 'rhat'?"),
        ("validation.kd_student.nll", "metrics.json has no 'nll'; it is empty there"),
        ("validation.student.ece", "is null in metrics.json, not a number"),
    ],
)
def test_what_a_run_has_not(run, name, told):
    with pytest.raises(InputError, match=name) as caught:
        reached(run, objectives(name))
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("told", "mend"),
    [
        ("student.nll", "choose objective=validation.student.nll"),
        ("kd_student.accuracy", "choose objective=validation.kd_student.accuracy"),
        ("student.ood.total.auroc", "choose objective=validation.student.nll"),
        ("student.macro_f1", "choose objective=validation.student.nll"),
        ("kd_student.macro_f1", "choose objective=validation.kd_student.nll"),
        ("validation.student.nl", "validation rows have no score 'nl'; did you mean 'nll'?"),
        ("validation.student.macro_f1", "valid: accuracy, brier, ece, nll"),
        ("validation.student.latency_ms", "valid: accuracy, brier, ece, nll"),
        ("teachers.forest.nll", "choose objective=validation.student.nll"),
        ("teacher_ensemble.nll", "choose objective=validation.student.nll"),
        (["validation.student.nll", "student.nll"], "measured on the test rows"),
        ("validation.students.nll", "did you mean 'student'?"),
        ("nll", "objective nll: unknown; choose validation.MODEL.SCORE"),
        ("diagnostics.verdict", "objective diagnostics.verdict: unknown"),
        ([], "name an entry of metrics.json"),
        (None, "name an entry of metrics.json"),
        ([1], "name an entry of metrics.json"),
    ],
    ids=str,
)
def test_what_is_no_objective(told, mend):
    with pytest.raises(InputError) as caught:
        objectives(told)
    assert mend in str(caught.value)


def test_validated_names_are_those_of_metrics():
    assert set(VALIDATION_SCORES) == set(SCORES)
    for score in SCORES:
        assert objectives(f"validation.student.{score}") == (f"validation.student.{score}",)


def test_costs_of_every_model_are_objectives():
    names = ["student.stored_bytes", "teachers.forest.latency_ms", "kd_student.parameters"]
    assert objectives(names) == tuple(names)
    with pytest.raises(InputError):
        objectives("latency_ms")


@pytest.mark.parametrize(
    ("names", "directions"),
    [
        (["validation.student.nll"], ["minimize"]),
        (["validation.student.accuracy"], ["maximize"]),
        (["validation.student.nll", "student.latency_ms"], ["minimize", "minimize"]),
        (["diagnostics.numbers.ess"], ["maximize"]),  # which way is not known of every number
        (["diagnostics.numbers.ess"], ["minimize"]),
    ],
)
def test_right_directions(names, directions):
    require_directions(names, directions)


@pytest.mark.parametrize(
    ("names", "directions", "told"),
    [
        (["validation.student.accuracy"], ["minimize"], "direction=minimize; write maximize for it"),
        (["validation.student.nll"], ["maximize"], "direction=maximize; write minimize for it"),
        (["validation.student.nll", "student.latency_ms"], ["minimize"], "names 2 entries"),
    ],
)
def test_wrong_directions(names, directions, told):
    with pytest.raises(InputError) as caught:
        require_directions(names, directions)
    assert told in str(caught.value)
