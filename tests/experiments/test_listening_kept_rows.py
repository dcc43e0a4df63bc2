"""Rows of a part's CSV: by which of them a run counts as done, and what merging others leaves."""

import multiprocessing
import shutil
import sys

import pandas as pd
import pytest

from experiments.listening import weightings
from experiments.listening.kept_rows import KeptRows, of_run
from experiments.listening.problems import BREAST_CANCER
from experiments.listening.study import Part, Settings, absent, command, do
from experiments.listening.sweeps import Run, Sweep, products


def a_sweep(name="small", constant=("data=digits", "inference=map"), seeds=2):
    swept = {"weighting": ("uniform", "entropy"), "seed": tuple(map(str, range(seeds)))}
    return Sweep(name, constant, swept, seconds=3.0)


def rows_of(sweep, *chosen, nll=0.5):
    """A row for each (weighting, seed)."""
    found = []
    for weighting, seed in chosen:
        run = Run(None, {"weighting": weighting, "seed": str(seed)})
        found += of_run([{"way": weighting, "seed": seed, "nll": nll}], sweep, run)
    return found


def test_settings_are_the_same_on_every_machine_and_other_ones_where_a_word_is():
    chosen = {"weighting": "uniform", "seed": "0"}

    def settings(*words):
        return a_sweep(constant=("data=images", *words)).settings_of(chosen)

    here = settings("data.path=/here/data/a.npz", "teachers.cache=/here/teachers", "data.unlabelled=true")
    # The file alone, another folder, other words for the same, another order.
    assert settings("data.unlabelled=True", "data.path=a.npz", "teachers.cache=/there/t") == here
    assert settings("data.unlabelled=true", "data.path=/there/a.npz") == here
    assert settings("data.unlabelled=true", "data.path=/there/b.npz") != here
    assert settings("data.unlabelled=true", "data.path=a.npz", "inference=map") != here
    seeds = {a_sweep().settings_of({**chosen, "seed": seed}) for seed in "012"}
    assert len(seeds) == 3


def test_a_kept_row_is_not_run_again_and_a_stale_one_is(tmp_path):
    sweep = a_sweep()
    kept = KeptRows(tmp_path / "part.csv", [sweep])
    assert len(kept.left(sweep, tmp_path)) == 4
    kept.merge(sweep, rows_of(sweep, ("uniform", 0), ("uniform", 1), ("entropy", 1)))
    assert kept.left(sweep, tmp_path) == [{"weighting": "entropy", "seed": "0"}]
    longer = a_sweep(constant=(*sweep.constant, "inference.steps=100"))
    assert len(KeptRows(kept.path, [longer]).left(longer, tmp_path)) == 4
    assert KeptRows(kept.path, [longer]).asked().empty


def test_only_what_is_left_is_started(tmp_path):
    sweep = a_sweep(seeds=4)
    kept = KeptRows(tmp_path / "part.csv", [sweep])
    kept.merge(sweep, rows_of(sweep, ("uniform", 0), ("uniform", 2), ("entropy", 0)))
    commands = [sweep.command(swept, tmp_path)[4:-1] for swept in products(kept.left(sweep, tmp_path))]
    assert commands == [
        ["weighting=choice(uniform)", "seed=1,3"],
        ["weighting=choice(entropy)", "seed=1,2,3"],
    ]
    kept.merge(sweep, rows_of(sweep, ("entropy", 2)))
    assert products(kept.left(sweep, tmp_path)) == [{"weighting": ("uniform", "entropy"), "seed": ("1", "3")}]


def test_products_are_few_and_hold_each_combination_once():
    whole = Sweep("s", (), {"a": ("1", "2"), "b": ("1", "2", "3"), "seed": ("0", "1")}, 1.0)
    assert products(whole.combinations()) == [whole.swept]
    assert products([]) == []
    left = [chosen for chosen in whole.combinations() if chosen != {"a": "1", "b": "2", "seed": "1"}]
    found = products(left)
    assert len(found) == 3
    again = [chosen for swept in found for chosen in Sweep("s", (), swept, 1.0).combinations()]
    assert sorted(again, key=str) == sorted(left, key=str)


def test_merging_keeps_the_rows_of_others_in_the_order_of_the_tables(tmp_path):
    first, second = a_sweep("first", seeds=3), a_sweep("second")
    kept = KeptRows(tmp_path / "results" / "part.csv", [first, second])
    kept.merge(second, rows_of(second, ("entropy", 0), ("uniform", 1)))
    kept.merge(first, rows_of(first, ("uniform", 2), ("uniform", 0)))
    told = [(row["sweep"], row["way"], row["seed"]) for row in kept.read()]
    assert told == [
        *[("first", "uniform", 0), ("first", "uniform", 2)],
        *[("second", "uniform", 1), ("second", "entropy", 0)],
    ]
    # Fresh rows take the place of those of the same settings; several rows of one run stay together.
    kept.merge(first, [*rows_of(first, ("uniform", 0), nll=0.25), *rows_of(first, ("uniform", 0), nll=0.75)])
    assert list(kept.asked()["nll"]) == [0.25, 0.75, 0.5, 0.5, 0.5]
    kept.merge(first, [])
    assert len(kept.read()) == 5


def test_fewer_seeds_leave_rows_of_the_others_and_other_settings_do_not(tmp_path):
    sweep, fewer = a_sweep(seeds=3), a_sweep(seeds=2)
    path = tmp_path / "part.csv"
    KeptRows(path, [sweep]).merge(sweep, rows_of(sweep, ("uniform", 0), ("uniform", 2)))
    kept = KeptRows(path, [fewer])
    kept.merge(fewer, rows_of(fewer, ("uniform", 0), ("uniform", 1)))
    assert [row["seed"] for row in kept.read()] == [0, 1, 2]
    assert list(kept.asked()["seed"]) == [0, 1], "tables are of the seeds that are asked for"
    longer = a_sweep(constant=(*sweep.constant, "inference.steps=100"))
    kept = KeptRows(path, [longer])
    kept.merge(longer, rows_of(longer, ("uniform", 0)))
    # Seeds that the new settings were not asked with stay what they were.
    assert [(row["seed"], row["settings"]) for row in kept.read()] == [
        (0, longer.settings_of({"weighting": "uniform", "seed": "0"})),
        (2, sweep.settings_of({"weighting": "uniform", "seed": "2"})),
    ]


def merge_one_by_one(path, sweep, sweeps):
    for seed in range(20):
        KeptRows(path, sweeps).merge(sweep, rows_of(sweep, ("uniform", seed)))


def test_two_processes_lose_no_row(tmp_path):
    sweeps = [a_sweep(name, seeds=20) for name in ("one", "other")]
    path = tmp_path / "part.csv"
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=merge_one_by_one, args=(path, sweep, sweeps)) for sweep in sweeps]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    kept = KeptRows(path, sweeps).read()
    assert [(row["sweep"], row["seed"]) for row in kept] == [
        (sweep.name, seed) for sweep in sweeps for seed in range(20)
    ]


def called(monkeypatch, parts, *words):
    """The command of a part, as from a shell."""
    monkeypatch.setattr(sys, "argv", ["weightings", *words])
    command("weightings", None, parts, weightings.rows_of, weightings.markdown, weightings.figure)


def test_tables_are_of_all_sweeps_and_of_data_whose_files_are_elsewhere(tmp_path, monkeypatch, capsys):
    """Kept rows alone make them; data that is not here is not run."""
    monkeypatch.delenv("MTBKD_DATA", raising=False)
    elsewhere = Settings(data=tmp_path / "data", runs=tmp_path / "other")
    wanted = ("breast_cancer-map-mixture_pool", "proteins-map-mixture_pool")
    parts = [part for part in weightings.parts(elsewhere) if part.sweep.name in wanted]
    kept = KeptRows(tmp_path / "weightings.csv", [part.sweep for part in parts])
    for part in parts:
        rows = [
            row | {"problem": part.problem, "engine": "map", "block": part.block, "accuracy": 0.9}
            for row in rows_of(part.sweep, *((way, seed) for way in ("uniform", "meta") for seed in range(5)))
        ]
        kept.merge(part.sweep, rows)
    before = kept.path.read_text()
    words = ["--table", "--only", "cancer-map-mixture", "--out", str(tmp_path), "--runs", str(tmp_path)]
    called(monkeypatch, weightings.parts, *words)
    told = (tmp_path / "weightings.md").read_text()
    assert told.startswith("`python -m experiments.listening.weightings`\n\n")
    assert "| way | breast cancer, 10 % of the labels | proteins, two language models |" in told
    assert "- proteins-map-mixture_pool: entropy, 5 of 5 runs\n" in told
    assert "- digits-hmc-mixture_pool: all 55 runs\n" in told
    assert "meta, 5 of" not in told
    assert "55 runs, 10 of them finished" in capsys.readouterr().out
    assert (tmp_path / "weightings.svg").is_file()
    assert kept.path.read_text() == before


def test_quick_rows_are_apart(tmp_path):
    assert Settings(results=tmp_path).result("broken", "csv") == tmp_path / "broken.csv"
    assert Settings(results=tmp_path, quick=True).result("broken", "csv") == tmp_path / "broken_quick.csv"


@pytest.mark.slow
def test_a_sweep_goes_on_from_its_rows_where_the_folders_are_gone(tmp_path, capsys):
    settings = Settings(quick=True, seeds=2, runs=tmp_path / "runs", results=tmp_path / "results")
    swept = {"weighting": ("uniform", "entropy")}
    part = weightings.part(BREAST_CANCER, "map", "mixture pool", swept, settings)
    sweep, folder = part.sweep, settings.root / part.sweep.name
    kept = KeptRows(settings.result("weightings", "csv"), [sweep])
    do([part], settings, weightings.rows_of, kept)
    found = kept.asked()
    assert "4 runs, 0 of them finished" in capsys.readouterr().out
    assert len(sweep.finished(settings.root)) == len(found) == 4

    shutil.rmtree(folder)
    do([part], settings, weightings.rows_of, kept)
    assert "4 runs, 4 of them finished; about 0 minutes" in capsys.readouterr().out
    assert not folder.exists(), "nothing was started"
    assert kept.asked().equals(found)
    assert absent([part], settings, kept) == []

    # A lost row and one of other settings are made again, to the same numbers; with a row and a folder the row stays.
    rows = pd.read_csv(kept.path, dtype=str)
    rows.loc[1, "settings"] = "0" * 12
    rows.drop(index=2).to_csv(kept.path, index=False)
    do([part], settings, weightings.rows_of, kept)
    assert "4 runs, 2 of them finished" in capsys.readouterr().out
    assert sorted(path.parent.name for path in folder.glob("*/run.json")) == [
        "seed=0,weighting=entropy",
        "seed=1,weighting=uniform",
    ]
    assert kept.asked().drop(columns="seconds").equals(found.drop(columns="seconds"))
    assert len(kept.read()) == 4, "the stale row is gone"
    kept.merge(sweep, [{**row, "nll": 9.0} for row in kept.read()])
    do([part], settings, weightings.rows_of, kept)
    assert (kept.asked()["nll"] == 9).all()


def test_a_part_is_a_sweep_of_its_own(tmp_path):
    """Rows of a sweep with the same settings, but of another name, count for it alone."""
    one, other = a_sweep("one"), a_sweep("other")
    kept = KeptRows(tmp_path / "part.csv", [one, other])
    kept.merge(one, rows_of(one, ("uniform", 0)))
    assert absent([Part(one, "digits", "map"), Part(other, "digits", "map")], Settings(), kept) == [
        "- one: uniform, 1 of 2 runs",
        "- one: entropy, 2 of 2 runs",
        "- other: all 4 runs",
    ]
