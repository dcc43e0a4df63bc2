from pathlib import Path

import pytest

from mtbkd import pipeline
from mtbkd.sweep import Outcome, clear, exit_code, note, outcomes


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (["finished", "finished"], 0),
        (["bad input"], 2),
        (["bad input", "bad input"], 2),
        (["bad input", "finished"], 1),
        (["failed", "finished"], 1),
        (["failed", "bad input"], 1),
    ],
)
def test_exit_codes(states, code):
    assert exit_code(states) == code


def test_outcomes_come_back_in_the_order_of_the_runs(tmp_path):
    for number in (10, 2, 0):
        note(tmp_path, number, Outcome(f"seed={number}", "failed", {"seed": number}, "ValueError: x"))
    assert [outcome.run for outcome in outcomes(tmp_path)] == ["seed=0", "seed=2", "seed=10"]
    assert outcomes(tmp_path)[1] == Outcome("seed=2", "failed", {"seed": 2}, "ValueError: x")
    clear(tmp_path)
    assert outcomes(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_an_outcome_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    note(tmp_path, 0, Outcome("x", "failed", {}, "first"))
    write = Path.write_text

    def cut_short(path, text):
        write(path, text[:10])
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_text", cut_short)
    with pytest.raises(OSError, match="no space left"):
        note(tmp_path, 0, Outcome("x", "finished", {}))
    assert outcomes(tmp_path) == [Outcome("x", "failed", {}, "first")]


def test_no_password_is_kept_of_a_refused_run(tmp_path):
    uri = "https://u:pw@host"
    note(
        tmp_path, 0, Outcome("x", "bad input", {"tracking": {"uri": uri}}, "no", f"mtbkd tracking.uri={uri}")
    )
    hidden = "https://u:***@host"
    assert outcomes(tmp_path) == [
        Outcome("x", "bad input", {"tracking": {"uri": hidden}}, "no", f"mtbkd tracking.uri={hidden}")
    ]


def test_what_is_not_known_of_is_not_finished():
    assert exit_code(["finished", "damaged"]) == 1


def test_a_sweep_does_only_what_is_left(mtbkd, words, tmp_path, monkeypatch):
    prepared = []
    prepare = pipeline.prepare
    monkeypatch.setattr(
        pipeline, "prepare", lambda config: prepared.append(config.settings.seed) or prepare(config)
    )
    folder = "hydra.sweep.dir=sweep"
    code, out, _ = mtbkd("-m", *words, "seed=0,1", folder)
    assert (code, prepared) == (0, [0, 1])
    assert out[-2:] == ["2 runs: 2 finished", f"comparison: {tmp_path}/sweep/comparison.html"]
    # More seeds: the two that are done are left alone.
    code, out, _ = mtbkd("-m", *words, "seed=0,1,2", folder)
    assert (code, prepared) == (0, [0, 1, 2])
    assert [line for line in out if line.startswith("seed=")][:2] == [
        "seed=0: finished, before",
        "seed=1: finished, before",
    ]
    assert out[-2] == "3 runs: 3 finished (2 of them before; fresh=true does them again)"
    # The same again: nothing is run, and it says so.
    code, out, _ = mtbkd("-m", *words, "seed=0,1,2", folder)
    assert (code, prepared) == (0, [0, 1, 2])
    assert out[-2] == "3 runs: 3 finished (3 of them before; fresh=true does them again)"
