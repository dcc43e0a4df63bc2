"""The command as a user meets it: what it prints, what it leaves, its exit code."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import tiny_runs
import torch
import yaml
from safetensors.torch import load_file

from mtbkd import __version__, cli, pipeline, registry
from mtbkd.comparison import compare
from mtbkd.errors import InputError


def left(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_help_names_groups_choices_examples_and_exit_codes(mtbkd):
    code, out, err = mtbkd("--help")
    assert (code, err) == (0, [])
    text = "\n".join(out)
    for folder in (path for path in cli.conf_folder().iterdir() if path.is_dir()):
        assert f"\n{folder.name}: {', '.join(sorted(p.stem for p in folder.glob('*.yaml')))}\n" in text
    for example in (
        "mtbkd",
        "mtbkd data=table data.path=mine.csv data.target=label data.labelled_fraction=0.2",
        "mtbkd -m weighting=entropy,uniform inference=svi,hmc seed=0,1,2 hydra/launcher=joblib",
    ):
        assert f"  {example}" in out
    for setting in ("seed=0", "device=cpu", "threads=auto", "compile=auto", "fresh=false"):
        assert setting in text
    assert "Exit codes: 0 done, 2 bad input, 1 anything else." in text
    groups = {path.name for path in cli.conf_folder().iterdir()}  # Hydra writes each on a line, however long
    assert max(len(line) for line in out if line.partition(":")[0] not in groups) <= 120


def test_the_configuration_is_shown_and_not_run(mtbkd, tmp_path):
    code, out, _ = mtbkd("--cfg", "job", "inference=hmc", "seed=3")
    shown = yaml.safe_load("\n".join(out))
    assert code == 0
    assert (shown["seed"], shown["inference"]["name"]) == (3, "hmc")
    assert left(tmp_path) == []


def test_version(mtbkd):
    assert mtbkd("--version") == (0, [f"mtbkd {__version__}"], [])


def test_a_run_prints_its_command_a_table_and_its_report(mtbkd, words, tmp_path):
    code, out, err = mtbkd(*words)
    assert (code, err) == (0, [])
    command = shlex.split(out[0])
    assert command[0] == "mtbkd"
    assert out[-1].startswith(f"report: {tmp_path}/outputs/")
    assert any(line.startswith("Student ") for line in out)  # of a MAP: nothing Bayesian
    # The first line is the command that continues it: here there is nothing left to do.
    again, told, _ = mtbkd(*command[1:])
    assert again == 0
    assert told[:2] == [out[0], "finished before; fresh=true does it again"]
    assert told[2:] == out[1:]
    run = Path(out[-1].removeprefix("report: ")).parent
    assert run.joinpath("report.html").read_text() == out[0]
    assert sorted(p.name for p in (run / ".hydra").iterdir()) == [
        "config.yaml",
        "hydra.yaml",
        "overrides.yaml",
    ]
    assert yaml.safe_load((run / ".hydra/overrides.yaml").read_text()) == words


def test_without_a_report_the_figures_are_named(mtbkd, words, tmp_path):
    code, out, err = mtbkd(*words, "report=none", "hydra.run.dir=run")
    assert (code, err) == (0, [])
    assert out[-1] == f"no report; figures: {tmp_path}/run/metrics.json"
    assert not (tmp_path / "run" / "report.html").exists()


def test_the_table_keeps_whole_names_on_80_columns(mtbkd, words, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = mtbkd(*words)
    table = out[1:-1]
    assert not any("…" in line for line in table)
    assert max(map(len, table)) <= 80


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["weighting=entropi"], "mtbkd: weighting=entropi: unknown choice; did you mean 'entropy'?"),
        (
            ["inference.stepz=3"],
            "mtbkd: inference.stepz: unknown key of inference=map; did you mean 'inference.steps'?",
        ),
        (["inference.steps=many"], "mtbkd: inference.steps is 'many'; it must be a whole number"),
        (["inference.steps=-5"], "mtbkd: inference.steps is -5; it must be a finite number greater than 0"),
        (["data.path=null"], "mtbkd: data.path is not set; give the path of a file"),
        (["data.path=missing.csv"], "mtbkd: data.path: no file 'missing.csv'"),
        (
            ["teachers.members.first.kind=prediction"],
            "unknown kind 'prediction'; did you mean 'predictions'?",
        ),
        (["seed"], "mtbkd: seed: not a setting; write KEY=VALUE, as in seed=1"),
        (["inference.steps=${nowhere}"], "mtbkd: inference.steps: Interpolation key 'nowhere' not found"),
        (["device=cuda:7"], "mtbkd: device 'cuda:7'"),
        (["hydra.run.dir=/proc/mtbkd"], "mtbkd: cannot use '/proc/mtbkd' for the run"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_and_leaves_nothing(mtbkd, words, tmp_path, more, told):
    code, _, err = mtbkd(*words, *more)
    assert code == 2
    assert len(err) == 1
    assert told in err[0]
    assert left(tmp_path) == []


def test_a_truncated_file_is_bad_input(mtbkd, tmp_path_factory, tmp_path):
    whole = tiny_runs.write_images(tmp_path_factory.mktemp("images"))
    whole.write_bytes(whole.read_bytes()[:1000])
    code, _, err = mtbkd("data=images", f"data.path={whole}", "hydra.run.dir=out/run1")
    assert code == 2
    assert "truncated" in err[0]
    assert left(tmp_path) == []


def test_folders_that_were_there_stay(mtbkd, words, tmp_path):
    (tmp_path / "out").mkdir()
    assert mtbkd(*words, "data.path=missing.csv", "hydra.run.dir=out/a/b")[0] == 2
    assert left(tmp_path) == ["out"]


def test_another_configuration_leaves_a_run_as_it_is(mtbkd, words, tmp_path):
    mtbkd(*words, "hydra.run.dir=run")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    code, _, err = mtbkd(*words, "hydra.run.dir=run", "seed=7", "prior.strength=2")
    assert code == 2
    assert "differing: prior.strength, seed." in err[0]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_what_goes_wrong_exits_with_1_and_is_kept(mtbkd, words, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "tell", lambda *args: 1 / 0)
    code, out, err = mtbkd(*words, "hydra.run.dir=run")
    assert code == 1
    assert err[0] == "mtbkd: failed: ZeroDivisionError: division by zero"
    assert err[1] == f"  traceback: {tmp_path}/run/run.log"
    assert err[2] == f"  go on with: {out[0]}"
    assert "ZeroDivisionError" in (tmp_path / "run/run.log").read_text()
    assert json.loads((tmp_path / "run/run.json").read_text())["state"] == "failed"


def test_a_sweep_goes_on_past_what_fails(mtbkd, words, tmp_path, monkeypatch):
    tell = pipeline.tell

    def fails_once(config, *rest):
        if config.settings.seed == 1:
            raise RuntimeError("no luck")
        tell(config, *rest)

    monkeypatch.setattr(pipeline, "tell", fails_once)
    sweep = ["-m", *words, "seed=0,1,-1,2", "hydra.sweep.dir=sweep"]
    code, out, _ = mtbkd(*sweep)
    assert code == 1
    assert shlex.split(out[0])[:2] == ["mtbkd", "-m"]
    table = pd.read_csv(tmp_path / "sweep/comparison.csv").set_index("seed")
    assert table["state"].to_dict() == {0: "finished", 1: "failed", -1: "bad input", 2: "finished"}
    assert table.loc[1, "error"] == "RuntimeError: no luck"
    assert table.loc[-1, "error"].startswith("seed is -1")
    assert table.loc[[0, 2], "student.nll"].notna().all()
    # Runs are named by what is swept; one with bad input leaves no folder.
    named = sorted(path.name for path in (tmp_path / "sweep").iterdir())
    compared = ["comparison.csv", "comparison.html", "comparison.tex", "comparison_means.csv"]
    assert named == [".outcomes", *compared, "multirun.yaml", "seed=0", "seed=1", "seed=2"]

    # The same again: what is done stays, what failed is done.
    monkeypatch.setattr(pipeline, "tell", tell)
    fitted = []
    fit = pipeline.fit
    monkeypatch.setattr(pipeline, "fit", lambda *args, **more: fitted.append(1) or fit(*args, **more))
    code, _, _ = mtbkd(*sweep)
    assert code == 1
    assert fitted == []
    states = compare([tmp_path / "sweep"])["state"].tolist()
    assert states == ["bad input"] + ["finished"] * 3


def test_a_long_error_is_told_in_one_line(mtbkd, words, tmp_path, monkeypatch):
    def wrong(*args):
        raise InputError("a shape\n  is wrong; mend it")

    monkeypatch.setattr(pipeline, "prepare", wrong)
    code, _, err = mtbkd(*words)
    assert (code, err) == (2, ["mtbkd: a shape is wrong; mend it"])
    assert left(tmp_path) == []


def test_a_sweep_of_bad_input_alone_exits_with_2(mtbkd, words, tmp_path):
    code, _, err = mtbkd("-m", *words, "seed=-1,-2")
    assert code == 2
    assert len(err) == 2


def test_a_sweep_with_an_unknown_choice_never_begins(mtbkd, words, tmp_path):
    code, _, err = mtbkd("-m", *words, "weighting=entropy,nothing")
    assert code == 2
    valid = ", ".join(registry.names("weighting"))
    assert err == [f"mtbkd: weighting=nothing: unknown choice; did you mean 'stacking'? valid: {valid}"]
    assert left(tmp_path) == []


def test_paths_in_a_sweep_make_no_folders(mtbkd, words, tmp_path):
    files = Path(next(w for w in words if w.startswith("data.path=")).removeprefix("data.path=")).parent
    copies = []
    for name in ("one", "two"):
        (files / name).mkdir()
        copies.append(tiny_runs.write_table(files / name))
    swept = [word for word in words if not word.startswith("data.path")]
    (tmp_path / "here").mkdir()
    code, _, _ = mtbkd("-m", *swept, f"data.path={copies[0]},{copies[1]}", "hydra.sweep.dir=here/../sweep")
    assert code == 0
    assert len(list((tmp_path / "sweep").glob("*/report.html"))) == 2


def command(folder: Path, *words: str) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    code = [sys.executable, "-m", "mtbkd", *words]
    return subprocess.Popen(code, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def figures(folder: Path) -> dict:
    metrics = json.loads((folder / "metrics.json").read_text())
    models = (metrics[name] for name in ("student", "kd_student", "label_only_student"))
    return [{k: v for k, v in model.items() if k != "latency_ms"} for model in models]


# Runs the command and says on stderr how many gradients it took.
COUNTING = """
import sys
from mtbkd import cli, density
count, inner = [0], density.Density.evaluate_batch
def counted(self, kind, theta, batch):
    count[0] += kind == "value_and_grad"
    return inner(self, kind, theta, batch)
density.Density.evaluate_batch = counted
try:
    cli.main()
finally:
    print("gradients:", count[0], file=sys.stderr)
"""


def counted(folder: Path, *words: str) -> int:
    """The command's gradients, once it has ended well."""
    code = [sys.executable, "-c", COUNTING, *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(code, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stderr.split("gradients:")[-1])


KILLED = {
    "map": ["inference.steps=6000"],
    "svi": ["inference.steps=6000", "inference.warm_start=20", "inference.draws=5"],
    "hmc": [
        "inference.num_chains=4",
        "inference.warmup=150",
        "inference.draws=150",
        "inference.warm_start=20",
    ],
    "ensemble": ["inference.steps=6000", "inference.num_members=3"],
    "sgld": [
        "inference.warm_start=20",
        "inference.num_chains=2",
        "inference.warmup=6000",
        "inference.draws=5",
    ],
    "sghmc": [
        "inference.warm_start=20",
        "inference.num_chains=2",
        "inference.warmup=6000",
        "inference.draws=5",
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("engine", list(KILLED))
def test_a_killed_run_goes_on_from_its_step(tmp_path, engine):
    """Killed while the student is fitted: the same draws bit for bit, and what was done is not done again."""
    files = tmp_path / "files"
    files.mkdir()
    words = [*tiny_runs.tiny_overrides(files, engine), *KILLED[engine]]
    begun = tmp_path / "killed/stages/student-begun/engine/state.safetensors"
    with command(tmp_path, *words, "hydra.run.dir=killed") as process:
        until = time.monotonic() + 300
        while not begun.is_file():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.001)
        time.sleep(0.3)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert json.loads((tmp_path / "killed/run.json").read_text())["state"] == "running"
    assert not (tmp_path / "killed/stages/student").exists(), "killed too late to show anything"
    rest = counted(tmp_path, *words, "hydra.run.dir=killed")
    whole = counted(tmp_path, *words, "hydra.run.dir=whole")
    assert 0 < rest < whole
    timing = json.loads((tmp_path / "killed/metrics.json").read_text())["timing"]
    assert timing["resumed_from_step"] > 0
    log = (tmp_path / "killed/run.log").read_text()
    assert f"student: went on from step {timing['resumed_from_step']}" in log
    one, other = (load_file(tmp_path / name / "posterior/draws.safetensors") for name in ("killed", "whole"))
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name
    assert figures(tmp_path / "killed") == figures(tmp_path / "whole")
