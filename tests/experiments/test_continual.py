"""The study of task after task: its tasks, what each arm brings along, its figures by hand, and how it goes on."""

import numpy as np
import pandas as pd
import pytest
import torch

from experiments import continual as study_of
from experiments.continual import (
    ARMS,
    SCENARIOS,
    TASKS,
    Effort,
    accuracies,
    digits,
    fashion,
    forgetting,
    learn,
    markdown,
    sequence,
    study,
    tasks_of,
    teaching,
)
from mtbkd.inference import MAPConfig, SVIConfig
from mtbkd.students import NormalWeights, PosteriorWeights

TINY = Effort(hidden=4, steps=4, draws=4)
NAN = float("nan")


@pytest.fixture(scope="module")
def rows():
    return digits(0)


def test_forgetting_by_hand():
    """Task 1 was at most .9 before the end and is .5: .4 lost. Task 2 was .6 and is .8: -.2. Task 3 is the last."""
    a = np.array([[0.9, NAN, NAN], [0.7, 0.6, NAN], [0.5, 0.8, 0.3]])
    assert forgetting(a) == pytest.approx((0.4 - 0.2) / 2)
    assert forgetting(np.array([[0.9]])) == 0


def test_tasks_share_no_row_and_lose_none(rows):
    for scenario, answers in SCENARIOS.items():
        tasks = tasks_of(rows, scenario)
        assert sum(len(t.x) for t in tasks) == len(rows["x"])
        assert sum(len(t.test_x) for t in tasks) == len(rows["test_x"])
        for task, classes in zip(tasks, TASKS, strict=True):
            expected = set(classes) if scenario == "class" else {0, 1}
            assert set(task.y.tolist()) == set(task.test_y.tolist()) == task.known == expected
            assert max(expected) < answers
    assert len(rows["x"]) + len(rows["test_x"]) == 1797
    whole = torch.cat([rows["x"], rows["test_x"]])
    assert (float(whole.min()), float(whole.max())) == (0, 1)


def test_fashion_takes_as_many_of_each_class(tmp_path, monkeypatch):
    monkeypatch.setattr(study_of, "FASHION_ROWS", {"train": 3, "test": 2})
    y = np.arange(60, dtype=np.uint8) % 10
    images = np.repeat(y, 4).reshape(60, 2, 2) * 25
    np.savez(tmp_path / "f.npz", x_train=images, y_train=y, x_test=images[:30], y_test=y[:30])
    found = fashion(tmp_path / "f.npz", 0)
    assert torch.bincount(found["y"]).tolist() == [3] * 10
    assert torch.bincount(found["test_y"]).tolist() == [2] * 10
    torch.testing.assert_close(found["x"], found["y"][:, None].expand(-1, 4) * 25 / 255)


@pytest.mark.parametrize("arm", list(ARMS))
def test_what_an_arm_brings_along(arm, rows, monkeypatch):
    tasks = tasks_of(rows, "class")
    before = learn("prior", tasks[:1], None, 10, TINY, 0)
    asked = {}

    def recorded(student, data, config, **more):
        asked.update(student=student, data=data, config=config, **more)

    monkeypatch.setattr(study_of, "fit", recorded)
    learn(arm, tasks[:2], before, 10, TINY, 3)
    student = asked["student"]
    wanted = PosteriorWeights if arm in ("prior", "both") else NormalWeights
    assert isinstance(student.weight_prior, wanted)
    assert (student.prior is not None) == (arm in ("teacher", "both"))
    assert (asked["start"] is before) == (arm != "joint")
    assert isinstance(asked["config"], MAPConfig if arm == "fine_tuning" else SVIConfig)
    assert asked["seed"] == 3
    seen = tasks[:2] if arm == "joint" else tasks[1:2]
    assert torch.equal(asked["data"][0], torch.cat([t.x for t in seen]))
    assert torch.equal(asked["data"][1], torch.cat([t.y for t in seen]))
    first = {"student": student, "start": before}
    learn(arm, tasks[:1], None, 10, TINY, 3)
    assert asked["start"] is None
    assert asked["student"].prior is None
    assert isinstance(asked["student"].weight_prior, NormalWeights)
    assert first["student"] is not asked["student"]


def test_a_teacher_speaks_of_the_answers_it_learned(rows):
    """Asked at the second task's inputs, of 0 and 1 alone, in the proportions of its own draws."""
    tasks = tasks_of(rows, "class")
    before = learn("teacher", tasks[:1], None, 10, TINY, 0)
    prior = teaching(before, tasks[1].x, tasks[0].known, 10)
    assert prior.num_known.tolist() == [2]
    assert (prior.precision == 1).all()  # as much as a label, however sure it is
    assert prior.num_rows == len(tasks[1].x)
    own = before.predict(tasks[1].x).probs[..., :2]
    proportions = (own / own.sum(-1, keepdim=True)).mean(0)
    counts = prior.tensors["counts"][:, 0]
    assert counts[:, 2:].abs().max() == 0
    torch.testing.assert_close(
        counts[:, :2] / counts.sum(-1, keepdim=True), proportions, rtol=1e-3, atol=1e-4
    )


@pytest.mark.slow
@pytest.mark.parametrize("scenario", list(SCENARIOS))
@pytest.mark.parametrize("arm", list(ARMS))
def test_a_sequence_tells_each_seen_task_after_each(arm, scenario, rows):
    tasks = tasks_of(rows, scenario)[:3]
    told = list(sequence(arm, tasks, SCENARIOS[scenario], TINY, 0))
    assert [(one["after"], one["task"]) for one in told] == [
        (i, j) for i in (1, 2, 3) for j in range(1, i + 1)
    ]
    sizes = [len(task.test_y) for task in tasks]
    for one in told:  # shares of that task's test rows
        right = one["accuracy"] * sizes[one["task"] - 1]
        assert right == pytest.approx(round(right), abs=1e-9)


def test_without_forgetting_there_is_none_to_tell(rows):
    """The first task alone, well learned: accuracy near 1, as two digits are easily told apart."""
    (one,) = sequence("fine_tuning", tasks_of(rows, "class")[:1], 10, Effort(hidden=32, steps=150), 0)
    assert one["accuracy"] > 0.95


def table(arm: str, seed: int, a: list[list[float]], scenario: str = "class") -> pd.DataFrame:
    told = [
        {
            "data": "digits",
            "scenario": scenario,
            "arm": arm,
            "seed": seed,
            "after": i,
            "task": j,
            "accuracy": v,
        }
        for i, own in enumerate(a, 1)
        for j, v in enumerate(own, 1)
    ]
    return pd.DataFrame(told)


def test_the_table_by_hand():
    """Seeds 0 and 1. t of 1 degree of freedom is 12.706. Ends .4 and .6: .5 ± 12.706 * .1; differences .2 and .3."""
    found = pd.concat(
        [
            table("fine_tuning", 0, [[1.0], [0.2, 0.6]]),
            table("prior", 0, [[1.0], [0.5, 0.7]]),
            table("fine_tuning", 1, [[1.0], [0.2, 1.0]]),
            table("prior", 1, [[0.9], [0.9, 0.9]]),
        ]
    )
    assert accuracies(table("prior", 0, [[1.0], [0.5, 0.7]]))[1].tolist() == [0.5, 0.7]
    lines = markdown(found).splitlines()
    assert (
        lines[2]
        == "| digits | class | fine-tuning (MAP) | 0.500 ± 1.271 |  | 0.800 ± 2.541 | 0.800 ± 0.000 |"
    )
    paired = "| digits | class | posterior as weight prior | 0.750 ± 1.906 | 0.250 ± 0.635 | 0.800 ± 1.271 |"
    assert lines[3] == f"{paired} 0.250 ± 3.177 |"
    assert len(lines) == 4


def test_a_stopped_study_does_what_is_left(tmp_path, monkeypatch, capsys):
    asked = []

    def told(arm, tasks, answers, effort, seed):
        asked.append((arm, answers, seed))
        if len(asked) == 3:
            raise KeyboardInterrupt
        yield from table(arm, seed, [[1.0], [0.5, 0.75]])[["after", "task", "accuracy"]].to_dict("records")

    monkeypatch.setattr(study_of, "sequence", told)
    path = tmp_path / "results" / "continual.csv"
    with pytest.raises(KeyboardInterrupt):
        study(path, None, 1, TINY)
    first = pd.read_csv(path)
    assert set(first["arm"]) == {"fine_tuning", "refitting"}
    whole = study(path, None, 1, TINY)
    assert asked[2] == asked[3] == ("prior", 10, 0)
    assert len(asked) == 1 + len(ARMS) * len(SCENARIOS)
    assert "60 fits" in capsys.readouterr().err
    pd.testing.assert_frame_equal(whole.iloc[: len(first)], first)
    again = study(path, None, 1, TINY)
    assert len(asked) == 1 + len(ARMS) * len(SCENARIOS)
    assert len(again) == 12 * 3
