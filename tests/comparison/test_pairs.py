"""Baselines and paired differences, by scipy and by hand."""

import numpy as np
import pytest
from scipy import stats
from stub_runs import write_run

from mtbkd.comparison.arms import arms_of
from mtbkd.comparison.pairs import baseline_of, difference
from mtbkd.comparison.runs import read_runs
from mtbkd.errors import InputError


def arms(folder):
    return {arm.name: arm for arm in arms_of(read_runs([folder]))[0]}


def write_all(folder, scores, **more):
    """`{weighting: {seed: NLL}}`"""
    for weighting, by_seed in scores.items():
        for seed, nll in by_seed.items():
            write_run(folder / f"{weighting}-{seed}", seed, weighting, nll=nll, **more)


def test_a_difference_is_scipys_paired_t_test(tmp_path):
    one, base = [0.31, 0.28, 0.40, 0.36], [0.35, 0.36, 0.41, 0.45]
    write_all(tmp_path, {"entropy": dict(enumerate(one)), "uniform": dict(enumerate(base))})
    found = arms(tmp_path)
    gap = difference(found["entropy"], found["uniform"], "nll")
    test = stats.ttest_rel(one, base).confidence_interval(0.95)
    assert (gap.low, gap.high) == pytest.approx((test.low, test.high))
    assert gap.mean == pytest.approx(np.mean(one) - np.mean(base))


def test_pairs_are_of_the_seeds_that_both_have(tmp_path):
    write_all(
        tmp_path, {"entropy": {0: 0.2, 1: 0.3, 7: 9.0}, "uniform": {1: 0.4, 0: 0.5, 3: 9.0}, "best": {5: 0.1}}
    )
    found = arms(tmp_path)
    gap = difference(found["entropy"], found["uniform"], "nll")
    assert (gap.count, gap.mean) == (2, pytest.approx(-0.2))  # -.3 and -.1
    assert difference(found["best"], found["uniform"], "nll") is None


def test_an_infinite_score_has_no_difference(tmp_path):
    write_all(tmp_path, {"entropy": {0: None, 1: 0.3}, "uniform": {0: 0.5, 1: 0.4}})
    found = arms(tmp_path)
    assert difference(found["entropy"], found["uniform"], "nll") is None
    assert difference(found["entropy"], found["uniform"], "accuracy").mean == 0


def test_runs_judged_by_other_rows_are_no_pair(tmp_path):
    for seed, rows in ((0, "same"), (1, "other")):
        write_run(tmp_path / f"u{seed}", seed, "uniform", nll=0.4, inputs={"data, test": "same"})
        write_run(tmp_path / f"e{seed}", seed, "entropy", nll=0.1, inputs={"data, test": rows})
    found = arms(tmp_path)
    gap = difference(found["entropy"], found["uniform"], "nll")
    assert (gap.count, gap.mean) == (1, pytest.approx(-0.3))


def test_other_features_of_the_same_rows_are_a_pair(tmp_path):
    ids, y = np.array(["P1", "P2", "P3"]), np.array([0, 1, 1])
    for features, labels in (("classical", y), ("localisation", y), ("none", 1 - y)):
        folder = write_run(
            tmp_path / features, settings={"data": {"features": features}}, inputs={"data, test": features}
        )
        np.savez(folder / "predictions.npz", test_ids=ids, test_y=labels)
    found = arms(tmp_path)
    assert difference(found["localisation"], found["classical"], "nll").count == 1
    assert difference(found["none"], found["classical"], "nll") is None
    # Without predictions, or where they are damaged, nobody knows.
    kept = (tmp_path / "classical" / "predictions.npz").read_bytes()
    (tmp_path / "classical" / "predictions.npz").write_bytes(kept[: len(kept) // 2])
    assert difference(found["localisation"], found["classical"], "nll") is None
    (tmp_path / "classical" / "predictions.npz").unlink()
    assert difference(found["localisation"], found["classical"], "nll") is None


def test_the_first_arm_is_the_baseline_unless_told(tmp_path):
    write_all(tmp_path, {"b": {0: 0.2}, "a": {0: 0.3}})
    own = list(arms(tmp_path).values())
    found = baseline_of(own, ())
    assert (found.words, found.chosen) == ("weighting=a", False)  # by folder name: no sweep tells an order
    assert found.of(own[0], own) is None
    assert found.of(own[1], own) is own[0]
    assert baseline_of(own, ["weighting.name=b"]).words == "weighting=b"


def test_a_baseline_of_some_keys_matches_what_is_else_the_same(tmp_path):
    for weighting in ("uniform", "entropy"):
        for width in (4, 8):
            write_run(
                tmp_path / f"{weighting}{width}", 0, weighting, settings={"student": {"hidden": [width]}}
            )
    own = arms(tmp_path)
    found = baseline_of(list(own.values()), ["weighting=uniform"])
    assert found.of(own["entropy · [8]"], list(own.values())) is own["uniform · [8]"]
    assert found.of(own["uniform · [4]"], list(own.values())) is None
    one = baseline_of(list(own.values()), ["weighting=uniform", "student.hidden=[4]"])
    assert one.of(own["entropy · [8]"], list(own.values())) is own["uniform · [4]"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["weighting"], "write KEY=VALUE, such as weighting=VALUE"),
        (["weigting=uniform"], "do not differ in 'weigting'; did you mean 'weighting'"),
        (["weighting=unifrom"], "no finished run has this; did you mean 'uniform'"),
        (["weighting=entropy", "student.hidden=[8]"], "no finished run has all of these"),
    ],
)
def test_baselines_that_are_none(tmp_path, words, told):
    for weighting, width in (("uniform", 4), ("uniform", 8), ("entropy", 4)):
        write_run(tmp_path / f"{weighting}{width}", 0, weighting, settings={"student": {"hidden": [width]}})
    with pytest.raises(InputError) as error:
        baseline_of(list(arms(tmp_path).values()), words)
    assert told in str(error.value)
