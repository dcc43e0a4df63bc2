"""What every test has: one torch thread, the shared data where they are, and the command, called in this process."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the shared data sets, named by MTBKD_DATA."""
    if "MTBKD_DATA" not in os.environ:
        pytest.skip("MTBKD_DATA is not set: no shared data")
    return Path(os.environ["MTBKD_DATA"])


@pytest.fixture
def mtbkd(tmp_path, monkeypatch, capsys) -> Callable[..., tuple[int, list[str], list[str]]]:
    """Calls the command in an empty folder; returns exit code, lines of stdout and lines of stderr, without the bars
    that are shown where a stage takes seconds, as on a busy machine any may."""
    from mtbkd import cli

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # put back afterwards: the command sets it
    monkeypatch.setattr("mtbkd.report.page.render", lambda content: content.command)
    monkeypatch.setattr("mtbkd.comparison.files.page", lambda found, title, folder: title)

    def call(*words: str) -> tuple[int, list[str], list[str]]:
        monkeypatch.setattr(sys, "argv", ["mtbkd", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return ended.value.code, out.splitlines(), [line for line in err.splitlines() if "\u2501" not in line]

    return call


@pytest.fixture
def words(tmp_path_factory) -> list[str]:
    """A tiny run's words; its files are outside the folder where it runs."""
    import tiny_runs

    return [*tiny_runs.tiny_overrides(tmp_path_factory.mktemp("files")), "baseline=none"]
