"""Sentences against runs that were made to say them."""

from stub_runs import write_run

from mtbkd.comparison.answer import answer, duration, listed
from mtbkd.comparison.comparison import comparison_of
from mtbkd.comparison.runs import read_runs


def told(folder, baseline=(), **more):
    return answer(comparison_of(read_runs([folder]), baseline, **more))


def texts(found):
    return " ".join(finding.text for finding in found.findings)


def write_all(folder, validation, test, seeds=3):
    for weighting in validation:
        for seed in range(seeds):
            wobble = 0.01 * seed * (1.5 if weighting == "entropy" else 1)
            write_run(
                folder / f"{weighting}{seed}",
                seed,
                weighting,
                nll=test[weighting] + wobble * wobble,
                validation=validation[weighting] + wobble,
                inputs={"data, test": f"rows {seed}"},
            )


def test_the_best_by_validation_opens_the_page(tmp_path):
    write_all(tmp_path, {"entropy": 0.4, "uniform": 0.5}, {"entropy": 0.9, "uniform": 0.2})
    found = told(tmp_path, ["weighting=uniform"])
    assert found.headline == "Of 2 compared, entropy has the best validation NLL"
    lead = " ".join(found.lead)
    assert "Validation tells it apart from every other one, over 3 seeds" in lead
    assert "On test rows its NLL is 0.700 above that of uniform" in lead
    assert "over 3 shared seeds, which excludes 0" in lead
    assert "The seed draws the split too" in texts(found)
    tiles = {tile.label: tile.value for tile in found.tiles}
    assert (tiles["Runs finished"], tiles["Configurations"], tiles["Seeds each"]) == ("6 of 6", "2", "3")


def test_the_baseline_itself_may_be_best(tmp_path):
    write_all(tmp_path, {"entropy": 0.4, "uniform": 0.5}, {"entropy": 0.2, "uniform": 0.2})
    found = told(tmp_path)
    assert "It is the baseline itself." in found.lead
    assert "the first configuration, chosen by its place and by no score" in texts(found)


def test_without_validation_nothing_is_chosen(tmp_path):
    for weighting in ("uniform", "entropy"):
        write_run(tmp_path / weighting, weighting=weighting, validation=None)
    found = told(tmp_path)
    assert found.headline.startswith("Which of the 2 is best cannot be said without their test scores")
    assert "to train on them" in found.lead[0]


def test_one_seed_is_said(tmp_path):
    write_all(tmp_path, {"entropy": 0.4, "uniform": 0.5}, {"entropy": 0.2, "uniform": 0.2}, seeds=1)
    found = told(tmp_path, ["weighting=uniform"])
    assert "By one seed" in found.lead[0]
    assert "on the one seed that both have" in found.lead[1]
    assert "One seed: there are no intervals" in texts(found)
    assert "Bonferroni" not in texts(found)


def test_the_number_of_comparisons_is_said(tmp_path):
    names = ("uniform", "a", "b", "c", "d")
    write_all(tmp_path, dict.fromkeys(names, 0.4), dict.fromkeys(names, 0.2))
    found = told(tmp_path, ["weighting=uniform"], scores=["nll", "accuracy"])
    # Four others, two scores; one in twenty of eight.
    assert "8 differences are told with 95% intervals. Were all of them chance, about 0.4 would" in texts(
        found
    )


def test_what_an_interval_over_seeds_is_of(tmp_path):
    shared, overlap = "All seeds share the same test rows", "such splits overlap"
    numbers = {"entropy": 0.4, "uniform": 0.5}
    write_all(tmp_path / "drawn", numbers, numbers)
    said = texts(told(tmp_path / "drawn"))
    assert overlap in said
    assert shared not in said
    for weighting in numbers:
        for seed in range(2):
            # each arm sees its own features of the same rows: hashes differ between arms, not between seeds
            inputs = {"data, test": f"rows of {weighting}"}
            write_run(tmp_path / "fixed" / f"{weighting}{seed}", seed, weighting, inputs=inputs)
            write_run(tmp_path / "untold" / f"{weighting}{seed}", seed, weighting)
    said = texts(told(tmp_path / "fixed"))
    assert shared in said
    assert overlap not in said
    write_all(tmp_path / "one", numbers, numbers, seeds=1)
    for folder in ("untold", "one"):
        said = texts(told(tmp_path / folder))
        assert shared not in said
        assert overlap not in said


def test_what_is_missing_is_said(tmp_path):
    write_all(tmp_path, {"uniform": 0.5, "entropy": 0.4}, {"uniform": 0.2, "entropy": 0.2})
    write_run(
        tmp_path / "x",
        3,
        "uniform",
        nll=None,
        inputs={"data, test": "x"},
        metrics={"versions": {"torch": "9"}},
    )
    write_run(tmp_path / "y", 4, "entropy", state="failed", error="RuntimeError: no")
    write_run(
        tmp_path / "z",
        0,
        "best",
        inputs={"data, test": "none of these"},
        metrics={"versions": {"torch": "8"}},
    )
    said = texts(told(tmp_path, ["weighting=uniform"]))
    assert "Not all have the same seeds: entropy has 3 of 4; best has 1 of 4." in said
    assert "∞: in one run at least" in said
    assert "1 run without scores" in said
    assert "best was judged by other test rows than uniform: no difference." in said
    assert "different versions: torch 8, 9." in said


def test_one_configuration_compares_its_models(tmp_path):
    for seed in range(3):
        scores = {"accuracy": 0.8, "nll": 0.6, "ece": 0.1}
        metrics = {
            "kd_student": scores,
            "validation": {"student": {"nll": 0.2}, "kd_student": {"nll": 0.5 + seed}},
        }
        write_run(tmp_path / str(seed), seed, metrics=metrics)
    found = told(tmp_path)
    assert found.headline == "Of 2 compared, student has the best validation NLL"
    alone = told(tmp_path, models=["kd_student"])
    assert alone.headline == "kd student: Accuracy 0.800 ± 0.000, NLL 0.600 ± 0.000 over 3 seeds"


def test_nothing_finished(tmp_path):
    write_run(tmp_path / "a", state="failed", error="RuntimeError: no")
    assert told(tmp_path).headline == "No run is finished: 1 run without scores"


def test_words():
    assert [duration(s) for s in (4.21, 42, 150, 7200)] == ["4.2 s", "42 s", "2.5 min", "2.0 h"]
    assert listed(["a", "b"]) == "a; b"
    assert listed(list("abcdef")) == "a; b; c; d and 2 more"
