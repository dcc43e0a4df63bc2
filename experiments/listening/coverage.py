"""Part 5: do credible intervals hold the true class probabilities as often as they say?

    python -m experiments.listening.coverage [--quick] [--jobs 1]

Made data whose probabilities are known, a fresh truth and fresh rows for each of 30 data sets; the error is over data
sets. Truths are drawn from the student's own prior, and from that of a larger network of another kind, so that the
student is misspecified. Only the former must be nominal, and only where the model of the data is right: `labels only`,
and `votes`, a teacher that saw five further labels at each input and whose Dirichlet is their likelihood. Teachers that
were trained on the student's own labels say the same twice, and intervals become too narrow: that is measured here.
"""

from itertools import product

import pandas as pd

from experiments.listening.kept_rows import Row
from experiments.listening.problems import EAGER, EVERYWHERE
from experiments.listening.study import Part, Settings, command
from experiments.listening.sweeps import Run, Sweep
from mtbkd.t_interval import shown, t_interval

SETS, QUICK_SETS = 30, 10
# Percent of the draws that a credible interval holds; columns of `metrics.json`, student.truth.
MASSES = (50, 80, 95)
COLUMNS = (*(f"coverage_{mass}" for mass in MASSES), "width_80", "error")
# By what the truth is: the words that make it so, its prior scale being the student's.
TRUTHS = {
    "from the student's prior": ("data.truth_hidden=[8]", "data.truth_activation=tanh"),
    "of another network": ("data.truth_hidden=[32,32]", "data.truth_activation=relu"),
}
STUDENT = ("student.hidden=[8]", "student.activation=tanh", "student.prior_scale=2.0")
ENGINES: dict[str, tuple[tuple[str, ...], float]] = {
    "hmc": (
        (
            "inference.num_chains=4",
            "inference.warmup=200",
            "inference.draws=250",
            "inference.max_leapfrogs=32",
            "inference.warm_start=300",
            EAGER,
        ),
        16.0,
    ),
    "svi": (("inference.warm_start=300", "inference.steps=1500", "inference.draws=1000", EAGER), 6.0),
}
QUICK_ENGINES: dict[str, tuple[tuple[str, ...], float]] = {
    "hmc": (
        (
            "inference.num_chains=4",
            "inference.warmup=60",
            "inference.draws=75",
            "inference.max_leapfrogs=10",
            "inference.warm_start=100",
            EAGER,
        ),
        4.5,
    )
}
VOTES = ("teachers=supplied", "weighting=uniform", "prior.concentration=5")
TRAINED = {"weighting": ("uniform", "entropy", "learned")}


def parts(settings: Settings) -> list[Part]:
    """All sweeps of this part."""
    sets = QUICK_SETS if settings.quick else SETS
    found = []
    for engine, (own, seconds) in (QUICK_ENGINES if settings.quick else ENGINES).items():
        words = ("data=synthetic", *STUDENT, *EVERYWHERE, f"inference={engine}", *own, settings.cache)
        seeds = {"seed": settings.seeds_word(sets)}
        trained = {"weighting": ("uniform",)} if settings.quick else TRAINED
        blocks: dict[str, tuple[tuple[str, ...], dict[str, tuple[str, ...]]]] = {
            "labels only": (("teachers=supplied", "prior.strength=0"), seeds),
            "votes": (VOTES, seeds),
            "trained teachers": (("teachers=small_trio",), {**trained, **seeds}),
        }
        for (truth, made), (block, (more, swept)) in product(TRUTHS.items(), blocks.items()):
            name = f"coverage-{engine}-{block}-{truth}".replace(" ", "_").replace("'", "")
            sweep = Sweep(name, (*words, *made, *more), swept, seconds, settings.config_dir)
            found.append(Part(sweep, truth, engine, block))
    return found


def rows_of(part: Part, run: Run) -> list[Row]:
    """A row: coverage of each mass, the mean absolute error of the mean, and the intervals' mean width."""
    way = f"{part.block}, {run.swept['weighting']}" if "weighting" in run.swept else part.block
    return [{"engine": part.engine, "truth": part.problem, "way": way, "seed": run.seed, **checked(run)}]


def checked(run: Run) -> dict[str, float]:
    """What a run's posterior says of the test rows against what is true there."""
    found = run.metrics["student"]["truth"]
    return {name: found[name] for name in COLUMNS}


def markdown(found: pd.DataFrame) -> str:
    """A table an engine and truth: mean and 95 % t interval over the data sets that all ways could be fitted to."""
    head = [
        "way",
        "data sets",
        *(f"in the {mass}% interval" for mass in MASSES),
        "width of the 80%",
        "error of p",
    ]
    texts = []
    for (engine, truth), own in found.groupby(["engine", "truth"], sort=False):
        lines = [
            f"### synthetic: {engine}, truth {truth}\n",
            f"| {' | '.join(head)} |",
            "|---" * len(head) + "|",
        ]
        for way, one in in_all_ways(own).groupby("way", sort=False):
            cells = [str(way), str(len(one)), *(shown(t_interval(one[name])) for name in COLUMNS)]
            lines.append(f"| {' | '.join(cells)} |")
        texts.append("\n".join(lines))
    return "\n\n".join(texts)


def in_all_ways(found: pd.DataFrame) -> pd.DataFrame:
    """The rows of those data sets (seeds) that every way has."""
    ways = found.groupby("seed")["way"].nunique()
    return found[found["seed"].map(ways) == found["way"].nunique()]


if __name__ == "__main__":
    command("coverage", __doc__, parts, rows_of, markdown)
