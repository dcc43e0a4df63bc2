"""The wheel, installed into an environment of its own, from an empty folder: what `pip install` gives."""

import os
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import tiny_runs

REPOSITORY = Path(__file__).resolve().parents[1]


def told(*words: object, cwd: Path, **environment: str) -> str:
    """What a command prints; it must succeed."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        list(map(str, words)),
        cwd=cwd,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_wheel_works_from_an_empty_folder(tmp_path):
    for name in ("dist", "files", "empty"):
        (tmp_path / name).mkdir()
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "dist"]
    told(*build, cwd=REPOSITORY)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "mtbkd/conf/config.yaml" in names
    assert "mtbkd/report/template.html.j2" in names
    assert not [name for name in names if name.startswith(("tests/", "experiments/", "conf/"))]

    told(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    told(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=tmp_path)
    # The dependencies are those of this environment, whose own mtbkd (a .pth file, not followed here) is not seen.
    path = {"PYTHONPATH": os.pathsep.join(site.getsitepackages()), "OMP_NUM_THREADS": "1"}
    where = (
        "import mtbkd, mtbkd.cli, sys; print(mtbkd.__file__, mtbkd.cli.conf_folder(), *sys.path, sep='\\n')"
    )
    package, conf, *searched = told(python, "-c", where, cwd=tmp_path / "empty", **path).splitlines()
    assert Path(package).is_relative_to(tmp_path / "venv")
    assert Path(conf) == Path(package).parent / "conf"
    assert str(REPOSITORY) not in searched

    command = tmp_path / "venv" / "bin" / "mtbkd"
    assert "weighting: accuracy, best" in told(command, "--help", cwd=tmp_path / "empty", **path)
    words = [*tiny_runs.tiny_overrides(tmp_path / "files"), "baseline=none", "hydra.run.dir=run"]
    last = told(command, *words, cwd=tmp_path / "empty", **path).splitlines()[-1]
    assert last == f"report: {tmp_path}/empty/run/report.html"
    assert (tmp_path / "empty/run/report.html").read_text().rstrip().endswith("</html>")
    assert [p.name for p in (tmp_path / "empty").iterdir()] == ["run"]
