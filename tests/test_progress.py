"""Progress is silent where it is short or unwanted, and tells its figures where it is long."""

import pytest
import torch

from mtbkd.progress import Progress, TerminalProgress


def run(progress: Progress, steps: int = 3) -> None:
    with progress.stage("sampling", steps) as advance:
        for step in range(steps):
            advance(loss=torch.tensor(float(step)))


def test_the_plain_one_says_nothing(capsys):
    run(Progress())
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_short_work_says_nothing(capsys):
    run(TerminalProgress(delay=60.0))
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def clock(monkeypatch, seconds_a_look: float) -> None:
    """A clock that goes on by so much each time it is read."""
    now = [0.0]

    def monotonic() -> float:
        now[0] += seconds_a_look
        return now[0]

    monkeypatch.setattr("mtbkd.progress.time.monotonic", monotonic)


def test_long_work_is_told_on_stderr(capsys, monkeypatch):
    clock(monkeypatch, 5.0)
    run(TerminalProgress(delay=1.0), steps=4)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "sampling" in captured.err
    assert "4/4" in captured.err
    assert "loss 3" in captured.err


def test_figures_are_read_only_when_shown(monkeypatch):
    clock(monkeypatch, 0.001)

    class Figure:
        def __float__(self) -> float:
            raise AssertionError("read although nothing is shown")

    with TerminalProgress(delay=1.0).stage("sampling", 3) as advance:
        for _ in range(3):
            advance(loss=Figure())


@pytest.mark.parametrize("progress", [Progress(), TerminalProgress(delay=0.0)])
def test_an_error_inside_a_stage_comes_out(progress):
    def work() -> None:
        with progress.stage("sampling", 2) as advance:
            advance()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
