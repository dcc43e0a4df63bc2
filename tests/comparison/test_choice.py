from stub_runs import SCORES, write_run

from mtbkd.comparison.arms import arms_of
from mtbkd.comparison.choice import choose
from mtbkd.comparison.runs import read_runs


def choice(folder):
    return choose(arms_of(read_runs([folder]))[0])


def write_all(folder, validation, test=0.3):
    """`{weighting: {seed: validation NLL}}`"""
    for weighting, by_seed in validation.items():
        for seed, nll in by_seed.items():
            write_run(folder / f"{weighting}-{seed}", seed, weighting, nll=test, validation=nll)


def test_the_best_is_chosen_by_validation_and_not_by_test_scores(tmp_path):
    write_run(tmp_path / "a", weighting="uniform", nll=0.1, validation=0.5)
    write_run(tmp_path / "b", weighting="entropy", nll=0.9, validation=0.4)
    found = choice(tmp_path)
    assert (found.best.name, found.candidates, found.seeds) == ("entropy", 2, (0,))
    assert [arm.name for arm in found.even] == ["uniform"]  # one seed tells nothing apart


def test_it_is_the_mean_over_common_seeds(tmp_path):
    # Over its own seeds entropy has the smaller mean; on those of both uniform has.
    write_all(tmp_path, {"uniform": {0: 0.4, 1: 0.5}, "entropy": {0: 0.5, 1: 0.61, 2: 0.0}})
    found = choice(tmp_path)
    assert (found.best.name, found.seeds) == ("uniform", (0, 1))
    assert found.even == ()  # .105 +- 12.706 * .005


def test_who_is_even_with_the_best(tmp_path):
    write_all(
        tmp_path,
        {
            "best": {0: 0.10, 1: 0.20, 2: 0.30},
            "near": {0: 0.11, 1: 0.19, 2: 0.31},
            "far": {0: 0.31, 1: 0.40, 2: 0.52},
        },
    )
    found = choice(tmp_path)
    assert (found.best.name, [arm.name for arm in found.even]) == ("best", ["near"])


def test_where_there_is_no_choice(tmp_path):
    write_all(tmp_path / "one", {"uniform": {0: 0.4}})
    assert choice(tmp_path / "one").best is None
    write_all(tmp_path / "none", {"uniform": {0: None}, "entropy": {0: None}})
    assert choice(tmp_path / "none").why == "the runs have no validation scores"
    write_all(tmp_path / "apart", {"uniform": {0: 0.4}, "entropy": {1: 0.4}})
    assert choice(tmp_path / "apart").why == "no seed is common to all"
    for name in ("uniform", "entropy"):
        write_run(tmp_path / "rows" / name, weighting=name, inputs={"data, validation": name})
    assert choice(tmp_path / "rows").why == "their validation rows are not the same"


def test_an_infinite_validation_nll_is_never_best(tmp_path):
    infinite = {"validation": {"student": {**SCORES, "nll": None}}}
    write_run(tmp_path / "a", weighting="uniform", metrics=infinite)
    write_run(tmp_path / "b", weighting="entropy", validation=3.0)
    assert choice(tmp_path).best.name == "entropy"
    write_run(tmp_path / "c" / "a", weighting="uniform", metrics=infinite)
    write_run(tmp_path / "c" / "b", weighting="entropy", metrics=infinite)
    assert "no probability at all" in choice(tmp_path / "c").why
