"""Whom a run hears, in numbers and on the page."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_runs
import torch

from mtbkd.errors import InputError
from mtbkd.pipeline import run
from mtbkd.problem import ask, prepare
from mtbkd.progress import Progress
from mtbkd.run_directory import RunDirectory
from mtbkd.summary.teacher_selection import selection, selection_table
from mtbkd.teachers.bank import TeacherCost
from mtbkd.teachers.selection import Gain, Judgement, Selection, select_teachers

CHOSEN = Selection(
    (
        Judgement("rough", Gain(-0.01, -0.03, 0.01), 2, TeacherCost(100, None, 1.0, 5.0)),
        Judgement("good", None, None, TeacherCost(300, None, 3.0, 5.0)),
        Judgement("double", Gain(0.0, 0.0, 0.0), 1, TeacherCost(100, None, None, 10.0)),
    ),
    40,
)


def test_the_numbers():
    found = selection(SimpleNamespace(selection=CHOSEN))
    assert (found["rows"], found["kept"]) == (40, ["good"])
    assert found["teachers"]["rough"] == {
        "kept": False,
        "dropped": 2,
        "gain": {"mean": -0.01, "lower": -0.03, "upper": 0.01},
        "parameters": 100,
        "latency_ms": 1.0,
        "seconds": 5.0,
    }
    assert found["teachers"]["good"]["gain"] is None
    assert found["saved"] == {"parameters": 0.4, "latency_ms": None, "seconds": 0.75}
    assert selection(SimpleNamespace(selection=None)) is None


def test_the_table_has_those_kept_first_and_what_is_saved():
    table = selection_table(selection(SimpleNamespace(selection=CHOSEN)))
    assert table.rows == (
        ("good", "kept", "", "nobody else is left", "300", "3.00"),
        ("double", "dropped, 1.", "0.0000", "0.0000 to 0.0000", "100", ""),
        ("rough", "dropped, 2.", "-0.0100", "-0.0300 to 0.0100", "100", "1.00"),
    )
    assert table.text.endswith(
        "Those dropped had 40% of the parameters, 75% of the seconds asked in this run."
    )
    assert "40 labelled rows" in table.text
    assert selection_table(None) is None


def with_a_double(folder) -> list[str]:
    """A tiny run with the sharp teacher twice and one that guesses, most rows held out."""
    words = tiny_runs.tiny_overrides(folder)
    rng = np.random.default_rng(5)
    np.savez(folder / "guess.npz", logits=rng.normal(size=(tiny_runs.ROWS, 3)).astype(np.float32))
    kept = [word for word in words if not word.startswith("+teachers.members")]
    return [
        *kept,
        f"+teachers.members.double={{kind:predictions,path:'{folder / 'sharp.npz'}',values:logits}}",
        f"+teachers.members.guess={{kind:predictions,path:'{folder / 'guess.npz'}',values:logits}}",
        "data.validation_fraction=0.5",
        "teachers.select=auto",
        "baseline=none",
    ]


def test_a_run_hears_only_the_chosen_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "mtbkd.report.page.render",
        lambda content: f"{dict(content.facts)} {[t.title for t in content.teacher_tables]}",
    )
    run(tiny_runs.resolved(*with_a_double(tmp_path)), RunDirectory(tmp_path / "run"), "mtbkd")
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text(), parse_constant=pytest.fail)
    found = metrics["teaching"]["selection"]
    assert list(metrics["teachers"]) == list(metrics["teaching"]["weights"]) == found["kept"] == ["first"]
    assert sorted(found["teachers"][name]["dropped"] for name in ("double", "guess")) == [1, 2]
    assert found["rows"] == 30
    assert found["saved"]["parameters"] is None, "predictions on disk have no size"
    with np.load(tmp_path / "run" / "predictions.npz") as said:
        assert said["teacher_names"].tolist() == ["first"]
    resolved = json.loads((tmp_path / "run" / "run.json").read_text())
    assert "'select': 'auto'" in str(resolved)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Teachers chosen" in page
    assert "'Teachers': 'first'" in page
    order = sorted(("double", "guess"), key=lambda name: found["teachers"][name]["dropped"])
    assert f"'Teachers left out': '{', '.join(order)}'" in page


def test_all_are_heard_unless_asked_otherwise(tmp_path):
    config = tiny_runs.resolved(*tiny_runs.tiny_overrides(tmp_path))
    problem = ask(config, prepare(config), Progress())
    assert problem.selection is None
    assert problem.prior.names == ("first", "drawn")
    assert selection(problem) is None


def test_tempered_teachers_are_judged(tmp_path):
    words = [*tiny_runs.tiny_overrides(tmp_path), "data.validation_fraction=0.5"]
    everyone = tiny_runs.resolved(*words)
    problem = ask(everyone, prepare(everyone), Progress())
    chosen = tiny_runs.resolved(*words, "teachers.select=auto", "temperature.value=3")
    found = ask(chosen, prepare(chosen), Progress()).selection
    tempered = problem.banks["validation"].tempered(torch.tensor([3.0, 3.0]))
    expected = select_teachers(tempered, problem.data.validation.y, costs=problem.banks["pool"].costs)
    assert found == expected
    assert found != select_teachers(problem.banks["validation"], problem.data.validation.y)


def test_choosing_needs_held_out_labels_and_says_so_before_training(tmp_path):
    words = [*tiny_runs.tiny_overrides(tmp_path), "teachers.select=auto", "data.validation_fraction=0"]
    with pytest.raises(InputError, match=r"0 labelled held-out rows.*teachers\.select=all"):
        prepare(tiny_runs.resolved(*words))
    with pytest.raises(InputError, match=r"teachers\.select: unknown value 'best'"):
        tiny_runs.resolved(*tiny_runs.tiny_overrides(tmp_path), "teachers.select=best")


def test_every_teacher_must_be_there_on_the_held_out_rows(tmp_path):
    words = [*tiny_runs.tiny_overrides(tmp_path), "teachers.select=auto"]
    data = prepare(tiny_runs.resolved(*words)).data
    np.savez(tmp_path / "pool.npz", logits=np.zeros((len(data.pool), 3)), ids=data.pool.ids)
    config = tiny_runs.resolved(*words, f"teachers.members.first.path={{pool:'{tmp_path / 'pool.npz'}'}}")
    with pytest.raises(InputError, match=r"teachers\.select=auto: no bank for validation: first without"):
        ask(config, prepare(config), Progress())


def test_a_student_that_counts_on_each_teacher_cannot_lose_one(tmp_path):
    words = [*tiny_runs.tiny_overrides(tmp_path), "student=heads", "student.heads=2", "prior=heads"]
    prepare(tiny_runs.resolved(*words))
    with pytest.raises(InputError, match=r"prior\.layer counts on.* teachers\.select=all here"):
        prepare(tiny_runs.resolved(*words, "teachers.select=auto"))
