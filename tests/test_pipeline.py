"""A whole run in its folder: what it leaves, how it goes on, what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_runs

from mtbkd import pipeline
from mtbkd.errors import InputError
from mtbkd.inference.engine import Diverged
from mtbkd.pipeline import run
from mtbkd.posterior import Posterior
from mtbkd.run_directory import RunDirectory

MODEL_KEYS = {"accuracy", "nll", "brier", "ece", "parameters", "stored_bytes", "latency_ms"}
LEFT = [
    ".hydra",
    ".lock",
    "inference_data.nc",
    "inputs.json",
    "metrics.json",
    "posterior",
    "predictions.npz",
    "report.html",
    "run.json",
    "run.log",
]


@pytest.fixture(autouse=True)
def no_page(monkeypatch):
    """Drawing the page takes longer than a tiny run; tests/test_conf.py draws it."""
    monkeypatch.setattr("mtbkd.report.page.render", lambda content: f"{content.title}\n{dict(content.facts)}")


def tiny(folder: Path, *words: str, inference: str = "svi", labelled: bool = True):
    return tiny_runs.resolved(*tiny_runs.tiny_overrides(folder, inference, labelled), *words)


def metrics_in(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text(), parse_constant=pytest.fail)


def results(folder: Path) -> dict:
    """What does not change from one time to the next: no seconds, no milliseconds."""
    metrics = metrics_in(folder)
    models = [metrics[k] for k in ("student", "kd_student", "label_only_student", "teacher_ensemble")]
    for model in (*models, *metrics["teachers"].values()):
        model.pop("latency_ms")
        model.pop("seconds", None)
    metrics.pop("timing")
    return metrics


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mtbkd.report.page.render", lambda content: f"{content.title}\n{dict(content.facts)}")
        directory = RunDirectory(folder / "run", {".hydra/config.yaml": "seed: 0\n"})
        run(tiny(folder), directory, "mtbkd data=table")
    return folder / "run"


def test_what_a_run_leaves(finished):
    assert sorted(p.name for p in finished.iterdir()) == LEFT
    log = (finished / "run.log").read_text()
    stages = ("teachers", "kd_student", "label_only_student", "student", "evaluation", "report")
    assert all(f"INFO {stage}: " in log for stage in stages)
    assert "new: mtbkd data=table" in log


def test_metrics_have_one_shape(finished):
    metrics = metrics_in(finished)
    assert list(metrics) == [
        "student",
        "teachers",
        "teacher_ensemble",
        "kd_student",
        "label_only_student",
        "per_class",
        "conformal",
        "teacher_comparison",
        "teaching",
        "pool",
        "validation",
        "diagnostics",
        "timing",
        "versions",
        "log_joint",
    ]
    assert list(metrics["teachers"]) == ["first", "drawn"]
    students = [metrics[name] for name in ("student", "kd_student", "label_only_student")]
    for model in (*students, metrics["teacher_ensemble"], *metrics["teachers"].values()):
        assert model.keys() >= MODEL_KEYS
        assert all(model[key] is not None for key in ("accuracy", "nll", "brier", "ece"))
    # 2 inputs, 4 hidden units, 3 classes; float32; 6 draws of svi, one of the MAP.
    weights = 2 * 4 + 4 + 4 * 3 + 3
    assert metrics["student"]["parameters"] == metrics["kd_student"]["parameters"] == weights
    assert metrics["student"]["stored_bytes"] == 6 * 4 * weights
    assert metrics["kd_student"]["stored_bytes"] == 4 * weights
    # Teachers given as predictions have no size that could be known.
    assert {metrics["teacher_ensemble"][key] for key in ("parameters", "stored_bytes", "latency_ms")} == {
        None
    }
    assert metrics["timing"]["resumed_from_step"] is None
    assert metrics["timing"].keys() >= {"teachers_s", "kd_student_s", "label_only_student_s", "student_s"}
    assert metrics["versions"].keys() >= {"python", "mtbkd", "torch", "pyro-ppl", "numpy"}
    assert metrics["diagnostics"].keys() == {"verdict", "words", "numbers", "kind"}


def test_the_teachers_scores_are_those_of_their_files(finished):
    with np.load(finished.parent / "sharp.npz") as file:
        logits = file["logits"].astype(float)
    with np.load(finished / "predictions.npz", allow_pickle=False) as said:
        rows, y = said["test_ids"].astype(int), said["test_y"]
    np.testing.assert_array_equal(y, rows % 3)
    z = logits[rows]
    log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
    first = metrics_in(finished)["teachers"]["first"]
    assert first["nll"] == pytest.approx(-log_p[np.arange(len(y)), y].mean(), rel=1e-5)
    assert first["accuracy"] == pytest.approx((z.argmax(1) == y).mean())


def test_predictions_are_plain_arrays_and_agree_with_the_saved_posterior(finished):
    with np.load(finished / "predictions.npz", allow_pickle=False) as file:
        said = dict(file)
    assert said["class_names"].tolist() == list(tiny_runs.CLASSES)
    assert said["teacher_names"].tolist() == ["first", "drawn"]
    assert said["test_teachers"].shape == (2, len(said["test_y"]), 3)
    for model in ("student", "kd_student", "label_only_student"):
        np.testing.assert_allclose(said[f"test_{model}_mean"].sum(1), 1, atol=1e-5)
    entropy = -(said["test_student_mean"] * np.log(said["test_student_mean"])).sum(1)
    np.testing.assert_allclose(said["test_student_total"], entropy, atol=1e-5)
    assert (said["test_kd_student_epistemic"] == 0).all()
    posterior = Posterior.load(finished / "posterior")
    data = pipeline.prepare(tiny(finished.parent)).data
    mean = posterior.predict(data.test.x).mean.numpy()
    np.testing.assert_allclose(said["test_student_mean"], mean, atol=1e-6)


def test_arviz_opens_the_draws_with_named_dimensions(finished):
    import arviz

    drawn = arviz.from_netcdf(finished / "inference_data.nc")
    probs = drawn["posterior"]["probs"]
    assert probs.dims == ("chain", "draw", "input", "class")
    assert probs["class"].values.tolist() == list(tiny_runs.CLASSES)
    np.testing.assert_allclose(probs.sum("class"), 1, atol=1e-5)
    with np.load(finished / "predictions.npz") as said:
        assert probs["input"].values.tolist() == said["test_ids"].tolist()
        np.testing.assert_allclose(probs.mean(["chain", "draw"]), said["test_student_mean"], atol=1e-5)
    assert drawn["constant_data"]["teacher_probs"].dims == ("teacher", "input", "class")


def test_a_finished_run_is_left_alone_and_fresh_does_it_again(finished, monkeypatch):
    before = (finished / "run.json").stat().st_mtime_ns
    monkeypatch.setattr(pipeline, "fit", pytest.fail)
    run(tiny(finished.parent), RunDirectory(finished), "mtbkd")
    assert (finished / "run.json").stat().st_mtime_ns == before
    monkeypatch.undo()
    monkeypatch.setattr("mtbkd.report.page.render", lambda content: "again")
    whole = results(finished)
    run(tiny(finished.parent, "fresh=true"), RunDirectory(finished), "mtbkd")
    assert (finished / "report.html").read_text() == "again"
    assert results(finished) == whole


class Stopped(BaseException):
    """As a key or a signal would stop it."""


def test_a_stopped_run_goes_on_from_its_stages(finished, tmp_path, monkeypatch):
    fitted, fit = [], pipeline.fit

    def stops_at_the_third(model, data, inference, **settings):
        fitted.append(inference.name)
        if len(fitted) == 3:
            raise Stopped
        return fit(model, data, inference, **settings)

    directory = RunDirectory(tmp_path / "run")
    monkeypatch.setattr(pipeline, "fit", stops_at_the_third)
    with pytest.raises(Stopped):
        run(tiny(tmp_path), directory, "mtbkd")
    assert fitted == ["map", "svi", "svi"]
    assert sorted(p.name for p in directory.stages.iterdir()) == ["kd_student", "label_only_student"]
    assert json.loads((directory.path / "run.json").read_text())["state"] == "running"
    # The fourth call is the student's: the other two are not fitted again.
    run(tiny(tmp_path), directory, "mtbkd")
    assert fitted == ["map", "svi", "svi", "svi"]
    assert results(directory.path) == results(finished)
    log = (directory.path / "run.log").read_text()
    assert "continued: mtbkd" in log
    assert "kd_student: fitted before, read again" in log
    assert not directory.stages.exists()


def test_what_goes_wrong_is_kept_and_the_run_goes_on(tmp_path, monkeypatch):
    directory = RunDirectory(tmp_path / "run")
    config = tiny(tmp_path, "baseline=none", inference="map")
    monkeypatch.setattr(pipeline, "tell", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(config, directory, "mtbkd")
    record = json.loads((directory.path / "run.json").read_text())
    assert (record["state"], record["error"]) == ("failed", "ZeroDivisionError: division by zero")
    assert "Traceback (most recent call last)" in (directory.path / "run.log").read_text()
    monkeypatch.undo()
    monkeypatch.setattr("mtbkd.report.page.render", lambda content: "")
    monkeypatch.setattr(pipeline, "fit", pytest.fail)
    run(config, directory, "mtbkd")
    assert json.loads((directory.path / "run.json").read_text())["state"] == "finished"


def test_data_that_changed_are_no_continuation(tmp_path, monkeypatch):
    directory = RunDirectory(tmp_path / "run")
    config = tiny(tmp_path, "baseline=none", inference="map")
    monkeypatch.setattr(pipeline, "tell", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(config, directory, "mtbkd")
    tiny_runs.write_teacher(tmp_path, "drawn", 1.0, draws=4)
    with pytest.raises(InputError, match="changed since: teacher 'drawn'"):
        run(config, directory, "mtbkd")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["data.path=nowhere.csv"], "no file 'nowhere.csv'"),
        (["device=cuda:9"], "device 'cuda:9'"),
        (
            ["teachers.members.first.kind=prediction"],
            "unknown kind 'prediction'; did you mean 'predictions'?",
        ),
        (["student.bayesian=lats"], "lats"),
    ],
)
def test_bad_input_leaves_the_folder_as_it_was(tmp_path, words, told):
    directory = RunDirectory(tmp_path / "run")
    with pytest.raises(InputError, match=told):
        run(tiny(tmp_path, *words), directory, "mtbkd")
    assert list(directory.path.iterdir()) == []


def test_a_fresh_start_with_bad_input_keeps_what_was_there(finished):
    before = {path: path.stat().st_mtime_ns for path in finished.iterdir()}
    with pytest.raises(InputError, match="no file"):
        run(tiny(finished.parent, "fresh=true", "data.path=gone.csv"), RunDirectory(finished), "mtbkd")
    with pytest.raises(InputError, match="differing: seed"):
        run(tiny(finished.parent, "seed=9"), RunDirectory(finished), "mtbkd")
    assert {path: path.stat().st_mtime_ns for path in finished.iterdir()} == before


@pytest.mark.parametrize(
    ("words", "fitted", "absent"),
    [
        (["baseline.kd_student=false"], ["map", "svi", "svi"], ["kd_student"]),
        (["baseline.label_only_student=false"], ["map", "svi"], ["label_only_student"]),
        (["baseline=none", "inference.warm_start=0"], ["svi"], ["kd_student", "label_only_student"]),
        (
            ["baseline.label_only_student=false", "inference.warm_start=0"],
            ["map", "svi"],
            ["label_only_student"],
        ),
    ],
)
def test_only_what_is_wanted_is_fitted(tmp_path, monkeypatch, words, fitted, absent):
    engines, fit = [], pipeline.fit

    def counted(model, data, engine, **settings):
        engines.append(engine.name)
        return fit(model, data, engine, **settings)

    monkeypatch.setattr(pipeline, "fit", counted)
    config = tiny(tmp_path, *words)
    run(config, RunDirectory(tmp_path / "run"), "mtbkd")
    assert engines == fitted
    metrics = metrics_in(tmp_path / "run")
    assert [name for name in ("kd_student", "label_only_student") if metrics[name] is None] == absent


def test_the_map_is_its_own_plain_student(tmp_path):
    run(tiny(tmp_path, inference="map"), RunDirectory(tmp_path / "run"), "mtbkd")
    metrics = metrics_in(tmp_path / "run")
    assert metrics["student"]["nll"] == metrics["kd_student"]["nll"]
    assert metrics["student"]["epistemic"] is None


def test_without_labels_it_is_pure_distillation(tmp_path):
    words = ["data.class_names=[ant,bee,cow]", "data.target=null", "data.columns=[length,weight]"]
    run(tiny(tmp_path, *words, labelled=False), RunDirectory(tmp_path / "run"), "mtbkd")
    metrics = metrics_in(tmp_path / "run")
    assert metrics["label_only_student"] is None
    assert metrics["student"].keys() >= MODEL_KEYS
    assert metrics["student"]["accuracy"] is None
    assert metrics["teacher_ensemble"]["nll"] is None


def test_without_test_and_validation_rows(tmp_path):
    words = ["data.test_fraction=0", "data.validation_fraction=0"]
    run(tiny(tmp_path, *words), RunDirectory(tmp_path / "run"), "mtbkd")
    metrics = metrics_in(tmp_path / "run")
    assert metrics["student"]["accuracy"] is None
    assert metrics["teachers"]["first"].keys() >= MODEL_KEYS
    with np.load(tmp_path / "run" / "predictions.npz", allow_pickle=False) as said:
        assert sorted(said) == ["class_names", "teacher_names"]


def test_outsiders_that_no_teacher_was_asked_about(tmp_path):
    words = [
        "data=proteins",
        "data.target=label",
        f"data.path={tiny_runs.write_proteins(tmp_path)}",
        "teachers=supplied",
        "student.hidden=[4]",
        "inference=svi",
        *tiny_runs.FEW_STEPS["svi"],
        "baseline=none",
        "compile=never",
        f"teachers.cache={tmp_path / 'cache'}",
    ]
    words.remove("data.target=label")
    run(tiny_runs.resolved(*words), RunDirectory(tmp_path / "run"), "mtbkd")
    metrics = metrics_in(tmp_path / "run")
    assert 0 <= metrics["student"]["ood"]["total"]["auroc"] <= 1
    assert metrics["teachers"]["a"]["ood"] is None
    with np.load(tmp_path / "run" / "predictions.npz") as said:
        assert said["ood_student_total"].shape == (9,)
        assert "ood_teachers" not in said
    assert "no bank for ood" in (tmp_path / "run" / "run.log").read_text()
    assert "ood: a, b without predictions there" in (tmp_path / "run" / "report.html").read_text()


def test_a_student_that_went_astray_ends_the_run_and_says_what_to_lower(tmp_path):
    config = tiny(tmp_path, "inference.learning_rate=1e38", "baseline=none", inference="map")
    with pytest.raises(Diverged, match="lower its learning rate"):
        run(config, RunDirectory(tmp_path / "run"), "mtbkd")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["state"] == "failed"
    assert "lower its learning rate" in json.dumps(record)


def test_a_warning_is_told_once_in_log_and_report(tmp_path, monkeypatch, capsys):
    told = []
    monkeypatch.setattr("mtbkd.report.page.render", lambda content: told.extend(content.warnings) or "")
    # Of 54 rows in the pool none of class cow keeps its label: labels are visible in proportion.
    config = tiny(tmp_path, "data.labelled_fraction=0.02", "baseline=none", inference="map")
    run(config, RunDirectory(tmp_path / "run"), "mtbkd")
    assert len(told) == 1
    assert "no labelled example" in told[0]
    assert (tmp_path / "run" / "run.log").read_text().count("no labelled example") == 1
    assert capsys.readouterr().err.count("no labelled example") == 1
