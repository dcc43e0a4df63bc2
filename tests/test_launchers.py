"""Each launcher: runs in processes of their own, of which one with bad input stops nobody; and their comparison."""

import json
import os
import subprocess
import sys
from pathlib import Path

import matplotlib.font_manager  # which looks for fonts, if nobody has
import pandas as pd
import pytest
import tiny_runs
import yaml


def sweep_by(folder: Path, *launcher: str) -> subprocess.CompletedProcess:
    """The command's sweep over three seeds, one of which no run takes."""
    files = folder / "files"
    files.mkdir()
    words = ["-m", *tiny_runs.tiny_overrides(files), "baseline=none", "report=none", "seed=0,-1,1"]
    # A user's own configuration of these libraries is not the tests'; but fonts are looked for once, which a slow
    # machine tells of.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HOME": str(folder), "RAY_AUTH_MODE": "disabled"}
    environment["MPLCONFIGDIR"] = matplotlib.get_cachedir()
    return subprocess.run(
        [sys.executable, "-m", "mtbkd", *words, "hydra.sweep.dir=sweep", *launcher],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )


def check(done: subprocess.CompletedProcess, folder: Path) -> None:
    """Two runs are finished and compared with the one that was refused."""
    assert done.returncode == 1, done.stderr
    sweep = folder / "sweep"
    table = pd.read_csv(sweep / "comparison.csv").set_index("seed")
    assert table["state"].to_dict() == {0: "finished", -1: "bad input", 1: "finished"}
    assert table.loc[-1, "error"] == "seed is -1; it must lie between 0 and 4294967295"
    for seed in (0, 1):
        metrics = json.loads((sweep / f"seed={seed}" / "metrics.json").read_text())
        assert table.loc[seed, "student.nll"] == pytest.approx(metrics["student"]["nll"], rel=1e-6)
        told = yaml.safe_load((sweep / f"seed={seed}" / ".hydra" / "hydra.yaml").read_text())["hydra"]
        assert told["callbacks"]["launch"]["runs"] == 3
        assert told["sweep"]["dir"] == str(sweep)
    assert "Traceback" not in done.stderr
    assert "3 runs: " in done.stdout


def test_joblib(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    done = sweep_by(tmp_path, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    check(done, tmp_path)
    assert done.stderr == "mtbkd: seed=-1: seed is -1; it must lie between 0 and 4294967295\n"
    assert done.stdout.count(": finished, ") == 2


def test_submitit_on_this_machine(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    done = sweep_by(tmp_path, "hydra/launcher=submitit_local")
    check(done, tmp_path)
    assert done.stderr == ""
    # What each run says is in the launcher's own files.
    said = "".join(path.read_text() for path in (tmp_path / "sweep/.submitit").glob("*/*_log.out"))
    assert said.count(": finished, ") == 2


@pytest.mark.slow
def test_ray(tmp_path):
    pytest.importorskip("ray")
    pytest.importorskip("hydra_plugins.hydra_ray_launcher", reason="pip install --no-deps hydra-ray-launcher")
    done = sweep_by(tmp_path, "hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2")
    check(done, tmp_path)
