"""The Optuna sweeper: it goes by what runs reached on validation rows, past those that failed."""

import json

import pytest
import yaml

from mtbkd import pipeline

pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")

OPTUNA = ["hydra/sweeper=optuna", "hydra.sweeper.sampler.seed=1", "hydra.sweep.dir=sweep", "report=none"]


def reached(folder, key="nll"):
    """Validation scores of the finished runs by folder."""
    return {
        path.parent.name: json.loads(path.read_text())["validation"]["student"][key]
        for path in folder.glob("*/metrics.json")
    }


def test_the_best_by_validation_is_found_past_a_failed_run(mtbkd, words, tmp_path, monkeypatch):
    tell = pipeline.tell

    def fails_for_large_scales(config, *rest):
        if config.student.prior_scale > 5:
            raise RuntimeError("no luck")
        tell(config, *rest)

    monkeypatch.setattr(pipeline, "tell", fails_for_large_scales)
    search = ["-m", *words, *OPTUNA, "hydra.sweeper.n_trials=3", "student.prior_scale=interval(0.5,9.5)"]
    code, out, err = mtbkd(*search)
    values = reached(tmp_path / "sweep")
    assert code == 1
    assert 1 <= len(values) <= 2, "some failed, some did not"
    assert [line for line in err if not line.startswith((" ", "mtbkd: failed: RuntimeError: no luck"))] == []
    best = min(values, key=values.get)
    results = yaml.safe_load((tmp_path / "sweep/optimization_results.yaml").read_text())
    assert results["best_value"] == values[best]
    assert best == f"student.prior_scale={results['best_params']['student.prior_scale']}"
    assert f"best: student.prior_scale={results['best_params']['student.prior_scale']} with " in "\n".join(
        out
    )
    assert (tmp_path / "sweep/comparison.csv").exists()

    # The same again draws the same settings: what is finished is not done again, what failed is.
    monkeypatch.setattr(pipeline, "tell", tell)
    code, _, err = mtbkd(*search)
    assert (code, err) == (0, [])
    again = reached(tmp_path / "sweep")
    assert len(again) == 3
    assert again.items() >= values.items()


def test_two_objectives_have_runs_that_no_other_beats(mtbkd, words, tmp_path):
    two = [
        "objective=[validation.student.nll,student.parameters]",
        "hydra.sweeper.direction=[minimize,minimize]",
    ]
    sizes = ["hydra/sweeper/sampler=random", "hydra.sweeper.n_trials=2", "student.prior_scale=choice(1,3)"]
    code, out, err = mtbkd("-m", *words, *OPTUNA, *two, *sizes)
    assert (code, err) == (0, [])
    values = reached(tmp_path / "sweep")
    results = yaml.safe_load((tmp_path / "sweep/optimization_results.yaml").read_text())
    # All have the same size, so that those with the least NLL are the ones.
    assert {tuple(found["values"]) for found in results["solutions"]} == {(min(values.values()), 27.0)}
    told = [line for line in out if line.startswith("not beaten: student.prior_scale=")]
    assert len(told) == len(results["solutions"])
    assert told[0].endswith(f"with validation.student.nll {min(values.values()):.4g}, student.parameters 27")


def test_a_search_without_a_finished_run_ends_with_its_comparison(mtbkd, words, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "tell", lambda *args: 1 / 0)
    code, _, err = mtbkd("-m", *words, *OPTUNA, "hydra.sweeper.n_trials=1", "seed=choice(0,1)")
    assert code == 1
    assert "mtbkd: the search ended (No trials are completed yet.)" in err
    assert (tmp_path / "sweep/comparison.csv").exists()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["objective=student.nll"], "objective student.nll is measured on the test rows"),
        (["objective=validation.student.accuracy"], "write maximize for it"),
        (["objective=[validation.student.nll,timing.student_s]"], "objective names 2 entries"),
    ],
)
def test_a_search_in_a_wrong_direction_does_no_work(mtbkd, words, tmp_path, more, told):
    code, _, err = mtbkd("-m", *words, *OPTUNA, *more, "hydra.sweeper.n_trials=1", "seed=choice(0,1)")
    assert code in (1, 2)
    assert any(told in line for line in err)
    assert not list(tmp_path.glob("sweep/*/run.json"))


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["data.validation_fraction=0"], "objective validation.student.nll: no validation row is labelled"),
        (
            ["objective=validation.label_only_student.nll", "baseline=none"],
            "objective validation.label_only_student.nll: this run fits no label_only_student",
        ),
        (
            ["objective=kd_student.latency_ms", "baseline=none"],
            "objective kd_student.latency_ms: this run fits no kd_student, which takes baseline=both",
        ),
        (
            ["objective=timing.label_only_student_s", "baseline=none"],
            "objective timing.label_only_student_s: this run fits no label_only_student",
        ),
    ],
)
def test_what_a_run_will_not_have_is_refused_before_it_trains(mtbkd, words, tmp_path, more, told):
    kept = [word for word in words if not word.startswith(more[-1].partition("=")[0])]
    code, _, err = mtbkd("-m", *kept, *OPTUNA, "hydra.sweeper.n_trials=1", "seed=choice(0,1)", *more)
    assert code in (1, 2)
    assert any(told in line for line in err)
    assert not list(tmp_path.glob("sweep/*/run.json"))
