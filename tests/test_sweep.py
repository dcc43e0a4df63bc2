import pytest

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
