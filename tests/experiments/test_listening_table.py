"""The study's tables by hand."""

import pandas as pd

from experiments.listening import weightings
from experiments.listening.paired_table import differences_overview, overview, starred, table
from mtbkd.t_interval import Interval


def test_a_star_where_the_interval_excludes_zero():
    assert starred(Interval(-0.02, 0.01, 5)) == "-0.020 ± 0.010 *"
    assert starred(Interval(0.02, 0.03, 5)) == "+0.020 ± 0.030"


def test_the_table_leaves_out_what_no_run_has():
    rows = [
        {"way": way, "seed": seed, "nll": nll, "aupr": None}
        for way, nlls in {"uniform": [0.5, 0.7], "entropy": [0.4, 0.6], "best": [0.5, None]}.items()
        for seed, nll in enumerate(nlls)
    ]
    text = table(pd.DataFrame(rows), {"nll": "NLL", "aupr": "AUPR"}, {"nll": "NLL - uniform"}, "uniform")
    lines = text.splitlines()
    assert lines[0] == "| way | seeds | NLL | NLL - uniform |"
    # .6 +- 12.706 * .1; the difference is -.1 on both seeds, which proves nothing.
    assert lines[2] == "| uniform | 2 | 0.600 ± 1.271 |  |"
    assert lines[3] == "| entropy | 2 | 0.500 ± 1.271 | -0.100 ± 0.000 |"
    assert lines[4] == "| best | 2 | ∞ |  |"
    without = table(pd.DataFrame(rows), {"nll": "NLL"}, {"nll": "d"}, "absent")
    assert without.splitlines()[0] == "| way | seeds | NLL |"


def test_one_score_at_a_glance():
    rows = [
        ("uniform", "good", 0.1),
        ("uniform", "one_bad", 0.5),
        ("uniform", "good", 0.2),
        ("best", "good", None),
    ]
    text = overview(pd.DataFrame(rows, columns=["way", "teachers", "nll"]), "nll", "teachers")
    assert text.splitlines() == [
        "| way | good | one bad |",
        "|---|---|---|",
        "| uniform | 0.150 ± 0.635 | 0.500 |",
        "| best | ∞ |  |",
    ]


def test_differences_at_a_glance():
    rows = [
        *(("uniform", "digits", seed, nll) for seed, nll in enumerate((0.5, 0.7, 0.6))),
        *(("entropy", "digits", seed, nll) for seed, nll in enumerate((0.4, 0.5, 0.45))),
        *(("uniform", "proteins", seed, nll) for seed, nll in enumerate((1.3, 1.4))),
        *(("best", "proteins", seed, nll) for seed, nll in enumerate((1.5,))),
        ("best", "faces", 0, 1.0),
    ]
    found = pd.DataFrame(rows, columns=["way", "problem", "seed", "nll"])
    # Differences -.1, -.2, -.15: t_2 = 4.3027 times .05 / sqrt(3). Of faces there is no baseline.
    assert differences_overview(found, "nll", "problem", "uniform").splitlines() == [
        "| way | digits | proteins | faces |",
        "|---|---|---|---|",
        "| entropy | -0.150 ± 0.124 * |  |  |",
        "| best |  | +0.200 |  |",
    ]


def test_pools_and_engines_are_compared_with_uniform_weights():
    rows = [
        {
            "problem": "digits",
            "engine": engine,
            "block": block,
            "way": way,
            "seed": seed,
            "nll": nll + 0.01 * seed * seed,
        }
        for (engine, block, way), nll in {
            ("map", "mixture pool", "uniform"): 0.10,
            ("map", "product pool", "uniform"): 0.30,
            ("svi", "mixture pool", "uniform"): 0.05,
            ("map", "product pool", "entropy"): 9.0,
        }.items()
        for seed in range(3)
    ]
    found = pd.DataFrame(rows, columns=["problem", "engine", "block", "way", "seed", "nll"])
    found.loc[found["block"] == "product pool", "nll"] += 0.01 * found["seed"]
    pools, engines = weightings.besides_rules(found)
    # .2, .21, .22: 4.3027 * .01 / sqrt(3); engines differ by the same on every seed, which proves nothing.
    assert pools.endswith(
        "uniform weights: map\n\n| way | digits |\n|---|---|\n| product pool | +0.210 ± 0.025 * |"
    )
    assert engines.endswith("weights: mixture pool\n\n| way | digits |\n|---|---|\n| svi | -0.050 ± 0.000 |")
