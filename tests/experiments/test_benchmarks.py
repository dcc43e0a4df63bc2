"""Benchmarks: turns, ratios and tables by hand; peers' densities and steps are ours; each benchmark runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from experiments.benchmarks import __main__ as bench
from experiments.benchmarks import gradient, growth, hmc, svi_step, turns
from experiments.benchmarks.command import Options
from experiments.benchmarks.problem import made_up
from experiments.benchmarks.result import (
    LEFT_OUT,
    Result,
    Row,
    markdown,
    rate_row,
    short,
    time_row,
    with_earlier,
)
from experiments.benchmarks.turns import Contender, Ratio, StepClock, take_turns
from mtbkd.errors import InputError

HEAVY = ("arviz", "hydra", "sklearn", "pandas", "matplotlib", "rich", "jax")


# ---- turns -------------------------------------------------------------------------------------------------------


def test_ratios_are_of_turns_that_belong_together():
    assert Ratio.of([1.0, 6.0, 2.0], [2.0, 2.0, 2.0]) == Ratio(1.0, 0.5, 3.0)


def test_contenders_take_turns_and_each_round_begins_with_another():
    order = []

    def paced(name, seconds):
        def run(steps):
            order.append(name)
            return seconds * steps

        return Contender(name, run)

    times = take_turns([paced("ours", 0.25), paced("peer", 0.5)], repeats=3, seconds=1.0)
    assert times == {"ours": [0.25] * 3, "peer": [0.5] * 3}
    assert order[-6:] == ["ours", "peer", "peer", "ours", "ours", "peer"]


def test_steps_a_turn_fill_the_time():
    taken = []
    contender = Contender("steady", lambda steps: taken.append(steps) or 0.01 * steps)
    assert turns.steps_a_turn(contender, 2.0) == 200
    assert taken[0] == 1  # the first call, which may compile, is not counted


def test_a_contender_without_a_clock_is_timed_on_its_threads(monkeypatch):
    monkeypatch.setattr(turns.time, "perf_counter", iter([3.0, 5.0]).__next__)
    seen = []
    assert Contender("plain", lambda steps: seen.append(torch.get_num_threads()), 1).seconds(4) == 2.0
    assert seen == [1]


def test_the_quickest_number_of_threads_is_kept(monkeypatch):
    monkeypatch.setattr(turns.torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(turns, "threads_within", lambda number: turns.contextmanager(lambda: (yield))())
    running = {"1": 2.0, "2": 1.0}
    monkeypatch.setattr(
        turns, "take_turns", lambda candidates, *_: {c.name: [running[c.name]] for c in candidates}
    )
    assert turns.on_quickest_threads(Contender("peer", lambda steps: None)).threads == 2


def test_the_step_clock_leaves_out_what_comes_before_the_steps(monkeypatch):
    # Twenty steps: the first takes 100 s (compiling), two more end the warm-up at 102 s, then one every 2 s.
    moments = iter([100.0, 101.0, 102.0, *(102.0 + 2 * (i + 1) for i in range(17))])
    monkeypatch.setattr(turns.time, "perf_counter", moments.__next__)
    clock = StepClock()
    with clock.stage("steps", 20) as advance:
        for _ in range(20):
            advance(loss=1.0)
    assert clock.counted == 17
    assert clock.seconds_a_step == 2.0


# ---- results -----------------------------------------------------------------------------------------------------


def test_a_target_is_reached_on_the_better_side_and_only_where_the_ratio_counts():
    ratio = Ratio(2.0, 1.0, 3.0)
    common = {"measure": "m", "peer": "p", "unit": "ms", "ours": 1.0, "theirs": 2.0, "ratio": ratio}
    assert Row(**common, target=2.0).reached
    assert not Row(**common, target=1.9).reached
    assert Row(**common, target=1.9, lower=False).reached
    assert Row(**common, target=1.9, lower=False, counts=False).reached is None
    assert Row(**common).reached is None
    assert Row("memory", "", "GB", 1.5, target=2.0).reached


def test_times_are_told_in_milliseconds_and_rates_in_work_a_second():
    times = {"ours": [0.002, 0.004, 0.002], "peer": [0.004, 0.004, 0.002]}
    row = time_row("step", times, "ours", "peer")
    assert (row.ours, row.theirs, row.ratio) == (2.0, 4.0, Ratio(1.0, 0.5, 1.0))
    rate = rate_row("steps", "a second", 16, times, "ours", "peer")
    assert (rate.ours, rate.theirs, rate.ratio) == (8000.0, 4000.0, Ratio(1.0, 1.0, 2.0))
    assert not rate.lower


def test_the_table_says_what_was_compared_and_what_was_left_out():
    rows = [
        Row("step", "Pyro", "ms", 1.234, 6.4, Ratio(0.19, 0.18, 0.2), 1.0),
        Row("hmc", "BlackJAX", "a second", 5.0, 1.0, Ratio(5, 4, 6), 1.5, False, False, "it did not mix"),
        Row("memory", "", "GB", 1.5, target=2.0),
    ]
    lines = markdown([Result("all", rows, {"JAX": "not installed"}).to_json()]).splitlines()
    assert lines[2] == "| step | Pyro | 1.23 ms | 6.4 ms | 0.19 (0.18 to 0.2) | at most 1 | yes |"
    assert (
        lines[3]
        == "| hmc | BlackJAX | 5 a second | 1 a second | 5 (4 to 6), does not count | at least 1.5 |  |"
    )
    assert lines[4] == "| memory |  | 1.5 GB |  |  | at most 2 | yes |"
    assert lines[6:] == ["- hmc, BlackJAX: it did not mix", "- all: without JAX: not installed"]


def test_numbers_are_short():
    assert [short(v) for v in (0.00012, 0.0123, 1.5, 12.34, 1234.5)] == [
        "1.2e-04",
        "0.0123",
        "1.5",
        "12.3",
        "1,234",
    ]


def test_rows_of_a_peer_that_is_left_out_stay_and_say_of_which_run_they_are():
    def result(rate, peers, skipped):
        rows = [
            Row("draws", peer, "a second", rate, 1.0, note="99 of 100" * (peer == "Pyro")) for peer in peers
        ]
        return Result("hmc", rows, skipped).to_json() | {"machine": {"cores": 2}}

    before = result(3.0, ["Pyro", "JAX"], {}) | {"machine": {"cores": 1}}
    found = result(4.0, ["JAX"], {"Pyro": LEFT_OUT, "BlackJAX": "not installed"})
    joined = with_earlier(found, before)
    assert [(row["peer"], row["ours"], row["note"]) for row in joined["rows"]] == [
        ("JAX", 4.0, ""),
        ("Pyro", 3.0, "of an earlier run (cores: 1); 99 of 100"),
    ]
    assert joined["skipped"] == {"BlackJAX": "not installed"}
    # A third run leaves the mark as it is; with no run before there is nothing to keep.
    again = with_earlier(result(5.0, ["JAX"], {"Pyro": LEFT_OUT}), joined)
    assert [(row["peer"], row["ours"]) for row in again["rows"]] == [("JAX", 5.0), ("Pyro", 3.0)]
    assert again["rows"][1]["note"] == "of an earlier run (cores: 1); 99 of 100"
    assert with_earlier(found, {}) == found
    # A peer that failed has no row: a figure of before would hide it.
    assert with_earlier(result(4.0, ["JAX"], {"Pyro": "it failed: x"}), before)["skipped"] == {
        "Pyro": "it failed: x"
    }


# ---- growth ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [1e3, 1e4, 1e6])
def test_widths_give_the_weights_asked_for(weights):
    network = made_up(2).mlp([growth.width(weights)] * 2).skeleton
    assert network.num_weights == pytest.approx(weights, rel=0.06)


def test_the_slope_is_that_of_the_larger_sizes():
    ms = [1.0, 1.0, 1.0, 10.0, 100.0]  # flat while it is overhead, then as the square
    found = growth.Sweep("chains", [1, 4, 16, 16 * 10**0.5, 160], ms, ms, ms)
    assert found.slope == pytest.approx(2.0)


def test_the_picture_is_drawn(tmp_path):
    sweep = growth.Sweep("rows", [1, 10], [1.0, 5.0], [0.9, 4.0], [1.1, 6.0])
    growth.draw([sweep, sweep, sweep], tmp_path / "growth.svg")
    assert "</svg>" in (tmp_path / "growth.svg").read_text()


# ---- commands ----------------------------------------------------------------------------------------------------


def test_options_are_handed_on_as_words():
    options = Options(quick=True, repeats=3, problem="p.npz", without="pyro")
    assert options.arguments() == [
        "--quick",
        "--repeats=3",
        "--device=cpu",
        "--problem=p.npz",
        "--without=pyro",
    ]


def test_peers_may_be_left_out_of_the_hmc_benchmark():
    assert hmc.chosen(None) == []
    assert hmc.chosen("pyro,numpyro") == ["pyro", "numpyro"]
    with pytest.raises(InputError, match="peer 'pyroo' is unknown; did you mean 'pyro'"):
        hmc.chosen("pyroo")


def test_results_are_kept_by_benchmark(tmp_path):
    path = tmp_path / "benchmarks.json"
    row = Row("memory", "", "GB", 1.5, target=2.0)
    bench.write(path, {"memory": Result("memory", [row]).to_json()})
    results = bench.read(path) | {"svi_step": Result("svi_step", []).to_json()}
    bench.write(path, results)
    assert list(bench.read(path)) == ["svi_step", "memory"]  # in the table's order
    assert "| memory |" in (tmp_path / "benchmarks.md").read_text()


def test_an_unknown_benchmark_is_told():
    assert bench.chosen("memory,hmc") == ["memory", "hmc"]
    with pytest.raises(InputError, match="did you mean 'growth'"):
        bench.chosen("grow")


def test_a_quick_gradient_benchmark_runs():
    found = gradient.benchmark(Options(quick=True))
    assert gradient.EAGER in {row.peer for row in found.rows}
    assert all(row.ours > 0 for row in found.rows)


LIGHT = f"""
import sys
import runpy
sys.argv = ["svi_step", "--quick", "--json"]
runpy.run_module("experiments.benchmarks.svi_step", run_name="__main__")
print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
"""


def test_the_svi_step_needs_torch_and_pyro_alone_and_ends_with_a_line_of_json():
    done = run([sys.executable, "-c", LIGHT])
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["ratio_to_plain_step"] > 0
    assert {row["peer"] for row in found["rows"]} >= {
        svi_step.EAGER,
        "Pyro SVI, AutoNormal",
        "Pyro SVI, AutoDiagonalNormal",
    }
    assert found["quick"]
    assert done.stderr.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_all_quick_benchmarks_make_one_table(tmp_path):
    command = [sys.executable, "-m", "experiments.benchmarks", "--quick", f"--out={tmp_path}"]
    done = run(command)
    assert list(json.loads((tmp_path / "benchmarks.json").read_text())) == list(bench.NAMES)
    assert done.stdout == (tmp_path / "benchmarks.md").read_text()


def run(command):
    """A command from the repository's root; its errors are shown where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    return done
