"""What a comparison tells, by scipy and by hand."""

import numpy as np
import pytest
from scipy import stats
from stub_runs import write_run

from mtbkd.comparison import over_seeds
from mtbkd.comparison.comparison import comparison_of
from mtbkd.comparison.runs import read_runs
from mtbkd.errors import InputError

NLL = {"uniform": [0.50, 0.61, 0.55], "entropy": [0.41, 0.55, 0.47], "best": [0.52, 0.60, 0.57]}


@pytest.fixture
def runs(tmp_path):
    for weighting, nlls in NLL.items():
        for seed, nll in enumerate(nlls):
            write_run(
                tmp_path / f"{weighting}{seed}",
                seed,
                weighting,
                nll=nll,
                student={"latency_ms": [1, 2, 9][seed]},
            )
    return tmp_path


def test_means_and_differences_as_a_table(runs):
    table = over_seeds([runs], ["weighting=uniform"], ["nll"]).set_index("weighting")
    low, high = stats.t.interval(0.95, 2, np.mean(NLL["entropy"]), stats.sem(NLL["entropy"]))
    own = table.loc["entropy"]
    assert (own["mean"] - own["half_width"], own["mean"] + own["half_width"]) == pytest.approx((low, high))
    gap = stats.ttest_rel(NLL["entropy"], NLL["uniform"]).confidence_interval(0.95)
    assert own["difference"] + own["difference_half_width"] == pytest.approx(gap.high)
    assert (own["seeds"], own["pairs"], own["baseline"]) == (3, 3, "uniform")
    assert own["latency_ms"] == 2  # the median: a single slow measurement does not count
    assert np.isnan(table.loc["uniform", "difference"])
    assert table.loc["uniform", ["baseline", "pairs"]].tolist() == ["", 0]


def test_how_many_comparisons_and_how_many_survive(runs):
    found = comparison_of(read_runs([runs]), ["weighting=uniform"], ["nll"])
    assert len(found.told) == 2
    excluding = [gap.excludes_zero for _, _, gap in found.told]
    against = {name: stats.ttest_rel(NLL[name], NLL["uniform"]).pvalue for name in ("best", "entropy")}
    assert excluding == [against["best"] < 0.05, against["entropy"] < 0.05] == [False, True]
    assert found.surviving() == sum(p < 0.05 / 2 for p in against.values()) == 1


def test_better_and_worse(runs):
    found = comparison_of(read_runs([runs]), ["weighting=uniform"], ["nll"])
    by_name = {row.arm.name: row for row in found.rows}
    assert by_name["entropy"].best("nll") is True
    assert by_name["best"].best("nll") is None
    assert by_name["uniform"].best("nll") is None
    turned = comparison_of(read_runs([runs]), ["weighting=entropy"], ["nll"])
    assert {row.arm.name: row.best("nll") for row in turned.rows}["uniform"] is False


def test_scores_that_no_run_has(runs):
    with pytest.raises(InputError, match=r"--scores nl: .*did you mean 'nll'"):
        comparison_of(read_runs([runs]), (), ["nl"])


def test_without_a_finished_run(tmp_path):
    write_run(tmp_path / "a", state="failed", error="RuntimeError: no")
    found = comparison_of(read_runs([tmp_path]))
    assert (found.rows, [run.error for run in found.failed]) == ((), ["RuntimeError: no"])
    assert over_seeds([tmp_path]).empty
