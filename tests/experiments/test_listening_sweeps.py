"""The study's sweeps: what each command says, which runs count as done, and a small part from end to end."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tiny_runs
from omegaconf import OmegaConf

from experiments.listening import broken, coverage, labels, numbers, shift, teacher_sets, ways, weightings
from experiments.listening.kept_rows import KeptRows, of_run
from experiments.listening.problems import BREAST_CANCER
from experiments.listening.scores import aupr
from experiments.listening.study import Part, Settings, absent, do, estimate, keep, wanted
from experiments.listening.sweeps import Run, Sweep, as_hydra_writes, problems_of
from mtbkd import registry
from mtbkd.cli import conf_folder
from mtbkd.errors import InputError

PARTS = {
    "weightings": weightings.parts,
    "broken": broken.parts,
    "labels": labels.parts,
    "numbers": numbers.parts,
    "coverage": coverage.parts,
    "shift": shift.parts,
}


@pytest.fixture
def sweep():
    swept = {"weighting": ("uniform", "entropy"), "seed": ("0", "1")}
    return Sweep("small", ("data=digits", "inference=map"), swept, seconds=3.0)


def finish(root, sweep, folder, words, state="finished"):
    """What a run leaves."""
    path = root / sweep.name / folder
    (path / ".hydra").mkdir(parents=True)
    (path / "run.json").write_text(json.dumps({"state": state}))
    OmegaConf.save(OmegaConf.create(words), path / ".hydra" / "overrides.yaml")
    return path


def test_words_are_compared_as_hydra_writes_them():
    """As the sweeper of Hydra 1.3 does, which parses each word and writes its value anew."""
    for word, written in {
        "data.unlabelled=true": "data.unlabelled=True",
        "student.hidden=[8, 4]": "student.hidden=[8,4]",
        "data.labelled_fraction=0.02": "data.labelled_fraction=0.02",
        "data.path=/a/b.npz": "data.path=/a/b.npz",
    }.items():
        assert as_hydra_writes(word) == written


def test_the_command_is_what_a_person_would_type(sweep, tmp_path):
    mtbkd, *words = sweep.command(sweep.swept, tmp_path)
    assert mtbkd.endswith("mtbkd")
    assert words == [
        *("-m", "data=digits", "inference=map", "weighting=uniform,entropy", "seed=0,1"),
        f"hydra.sweep.dir={tmp_path / 'small'}",
    ]
    several = replace(sweep, config_dir=tmp_path).command(sweep.swept, tmp_path, jobs=2)
    assert several[2:4] == ["--config-dir", str(tmp_path)]
    assert {"hydra/launcher=joblib", "hydra.launcher.n_jobs=2"} <= set(several)
    # One seed is swept too, as of one run's folder the name is its own only if it tells the seed.
    assert sweep.command({"seed": ("3",)}, tmp_path)[-2] == "seed=choice(3)"


def test_only_finished_runs_of_the_same_words_are_done(sweep, tmp_path):
    assert sweep.finished(tmp_path) == []
    first = finish(
        tmp_path, sweep, "a", ["data=digits", "inference=map", "seed=1", "weighting=uniform"]
    )  # in any order
    finish(tmp_path, sweep, "b", ["data=digits", "inference=map", "seed=0", "weighting=entropy"], "failed")
    finish(
        tmp_path, sweep, "c", ["data=digits", "inference=map", "seed=0", "weighting=uniform", "compile=never"]
    )
    (run,) = sweep.finished(tmp_path)
    assert (run.folder, run.seed, run.swept["weighting"]) == (first, 1, "uniform")


def test_what_is_not_there_is_told(sweep, tmp_path):
    settings = Settings(runs=tmp_path)
    other = Sweep("other", ("data=digits",), sweep.swept, seconds=3.0)
    kept = KeptRows(tmp_path / "part.csv", [sweep, other])
    for weighting, seed in (("uniform", "0"), ("uniform", "1"), ("entropy", "1")):
        run = Run(tmp_path, {"weighting": weighting, "seed": seed})
        kept.merge(sweep, of_run([{"seed": run.seed}], sweep, run))
    (settings.root / "small").mkdir(parents=True)
    (settings.root / "small" / "output.log").touch()
    assert absent([Part(sweep, "digits", "map"), Part(other, "digits", "map")], settings, kept) == [
        "- small: entropy, 1 of 2 runs; see small/output.log",
        "- other: all 4 runs",
    ]
    lines = [
        "mtbkd: seed=0,weighting=a: no draws",
        "mtbkd: warning: x",
        "mtbkd: seed=1,weighting=a: no draws",
    ]
    assert problems_of("\n".join([*lines, "a bar", "mtbkd: seed=0: b"])) == ["no draws (2 times)", "b"]


def test_a_table_runs_nothing(sweep, tmp_path, monkeypatch):
    """One run of four is there, so that without it the sweep would be started."""
    monkeypatch.setattr(Sweep, "do", lambda *arguments: pytest.fail("a sweep was started"))
    settings = Settings(runs=tmp_path, table=True)
    words = ["data=digits", "inference=map", "seed=0", "weighting=uniform"]
    finish(settings.root, sweep, "a", words)
    kept = KeptRows(tmp_path / "part.csv", [sweep])
    told = [{"way": "uniform", "seed": 0}]
    do([Part(sweep, "digits", "map")], settings, lambda part, run: told, kept)
    assert kept.asked()[["way", "seed"]].to_dict("records") == told


def test_heads_are_as_many_as_teachers_and_none_on_a_cnn(tmp_path):
    by_name = {part.sweep.name: part.sweep for part in weightings.parts(Settings(data=tmp_path))}
    for problem, heads in (("digits", 3), ("proteins", 2)):
        sweep = by_name[f"{problem}-map-published_product_pool_heads"]
        assert f"student.heads={heads}" in sweep.constant
        assert sweep.swept["experiment"] == ("hydra_heads",)
    assert not any(name.startswith("fashion") and name.endswith("heads") for name in by_name)
    assert all(
        "hydra_heads" not in own.swept.get("experiment", ()) or "heads" in name
        for name, own in by_name.items()
    )


def test_some_sweeps_alone(sweep):
    parts = [Part(sweep, "digits", "map"), Part(Sweep("large", (), {"seed": ("0",)}, 1.0), "x", "svi")]
    assert wanted(parts, Settings(only=("arg",))) == parts[1:]
    assert wanted(parts, Settings()) == parts
    with pytest.raises(InputError, match="--only wide: no sweep is called so; valid: small, large"):
        wanted(parts, Settings(only=("wide",)))


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("quick", [True, False])
def test_a_part_has_no_run_twice_and_seeds_in_every_sweep(name, quick, tmp_path):
    settings = Settings(quick=quick, seeds=3, runs=tmp_path, data=tmp_path)
    parts = PARTS[name](settings)
    kept = KeptRows(tmp_path / "part.csv", [part.sweep for part in parts])
    number = {True: coverage.QUICK_SETS, False: coverage.SETS}[quick] if name == "coverage" else 3
    names = [part.sweep.name for part in parts]
    assert len(set(names)) == len(names)
    for part in parts:
        runs = [part.sweep.words(chosen) for chosen in part.sweep.combinations()]
        assert len(set(runs)) == len(runs)
        keys = [word.partition("=")[0] for word in part.sweep.constant]
        assert len(set(keys) | set(part.sweep.swept)) == len(keys) + len(part.sweep.swept), "no key twice"
        assert "report=none" in part.sweep.constant
        assert len(part.sweep.swept["seed"]) == number
    assert "0 of them finished" in estimate(parts, settings, kept)
    assert len(kept.places()) == sum(len(list(part.sweep.combinations())) for part in parts)


def test_every_weighting_that_there_is_is_compared():
    assert ways.weightings()[0] == "uniform"
    assert {*ways.weightings(), *ways.OF_DRAWS} >= set(registry.names("weighting"))
    assert len(set(ways.weightings())) == len(ways.weightings())
    assert not {"proteins", "proteins_sequence", "fashion_mnist"} & set(ways.published())
    assert {"ca_mkd", "uekd"} <= set(ways.published())


def test_broken_sets_keep_the_good_ones_recipes():
    sets = teacher_sets.all_sets()
    assert list(sets["two_permuted"]) == ["forest", "svm", "permuted_logistic", "permuted_network"]
    assert sets["two_permuted"]["permuted_network"]["of"] == teacher_sets.GOOD["network"]
    assert sets["one_random"]["random_network"] == {"kind": "broken", "how": "random"}
    assert sets["two_good_alone"].items() <= sets["two_permuted"].items()
    assert broken.of_broken({"forest": 0.5, "permuted_svm": 0.2, "random_network": 0.25}) == pytest.approx(
        0.45
    )


def test_more_teachers_are_the_same_ones_and_others():
    members = OmegaConf.load(conf_folder() / "teachers" / "sixteen.yaml").members
    starts = {member.share[0] for member in members.values()}
    assert (len(starts), min(starts), max(starts)) == (16, 0.0, 0.75)
    assert all(member.share[1] - member.share[0] == pytest.approx(0.25) for member in members.values())
    asked = [
        word.strip("[]").split(",") for word in numbers.parts(Settings())[0].sweep.swept["teachers.only"]
    ]
    assert [len(names) for names in asked] == [1, 2, 4, 8, 16]
    assert all(names == list(members)[: len(names)] for names in asked)


def test_average_precision_of_the_rarer_class_by_hand():
    # Ranked by the rare class's probability: rare, not, rare: precisions 1 and 2/3.
    p = np.array([0.9, 0.5, 0.3, 0.2, 0.1])
    y = np.array([1, 0, 1, 0, 0])
    assert aupr(np.stack([1 - p, p], 1), y) == pytest.approx((1 + 2 / 3) / 2)
    assert aupr(np.stack([p, 1 - p], 1), 1 - y) == pytest.approx((1 + 2 / 3) / 2), "whichever class is rarer"
    assert aupr(np.full((4, 3), 1 / 3), np.array([0, 1, 2, 0])) is None


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("quick", [True, False])
def test_every_sweep_is_a_valid_command(name, quick, tmp_path):
    """The last run of each is composed and typed, as the command would before any work."""
    settings = Settings(quick=quick, seeds=2, runs=tmp_path, data=tmp_path)
    teacher_sets.write(tmp_path)
    for part in PARTS[name](settings):
        *_, last = part.sweep.combinations()
        words = [*part.sweep.words(last), f"hydra.searchpath=[file://{tmp_path}]"]
        config = tiny_runs.resolved(*sorted(words))
        assert config.methods["inference"] == part.engine
        assert config.methods["report"] == "none"
        if "weighting" in last:
            assert config.methods["weighting"] == last["weighting"]


@pytest.mark.slow
def test_a_part_from_end_to_end(tmp_path, capsys):
    """Two weightings on breast cancer, two seeds; then once more, when nothing is left to do."""
    settings = Settings(quick=True, seeds=2, runs=tmp_path / "runs", results=tmp_path / "results")
    swept = {"weighting": ("uniform", "entropy")}
    part = weightings.part(
        BREAST_CANCER, "map", "mixture pool", swept, settings, ("teachers.trusted=[]", "fresh=false")
    )
    kept = KeptRows(settings.result("weightings", "csv"), [part.sweep])
    do([part], settings, weightings.rows_of, kept)
    found = kept.asked()
    assert "4 runs, 0 of them finished" in capsys.readouterr().out
    assert list(found["way"]) == ["uniform", "uniform", "entropy", "entropy"]
    assert list(found["seed"]) == [0, 1, 0, 1]
    assert found["accuracy"].between(0.8, 1).all()
    assert found["aupr"].between(0.8, 1).all()
    assert len(list((settings.root / "teachers").glob("*/manifest.json"))) == 3 * 4 * 2, "asked once a seed"
    assert not list(settings.root.rglob("report.html"))
    text = weightings.markdown(found)
    assert text.startswith("### breast cancer, 10 % of the labels: map, mixture pool\n\n| way | seeds |")
    keep("weightings", text, settings)
    assert "Quick" in (settings.results / "weightings_quick.md").read_text()
    assert len((settings.results / "weightings_quick.csv").read_text().splitlines()) == 5
    capsys.readouterr()
    do([part], settings, weightings.rows_of, kept)
    assert "4 runs, 4 of them finished; about 0 minutes" in capsys.readouterr().out
    assert kept.asked().equals(found)


def test_data_sets_that_one_way_lacks_are_compared_in_none():
    rows = pd.DataFrame({"seed": [0, 1, 2, 0, 2], "way": ["a", "a", "a", "b", "b"]})
    kept = coverage.in_all_ways(rows)
    assert list(kept["seed"]) == [0, 2, 0, 2]
    assert coverage.in_all_ways(rows[rows["way"] == "a"])["seed"].tolist() == [0, 1, 2]
