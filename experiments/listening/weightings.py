"""Part 1: every way of listening on every data set, at equal strength.

    python -m experiments.listening.weightings [--quick] [--seeds 5] [--jobs 1]

MTBKD_DATA names the folder of deeploc2_mtbkd.npz, fashion_mnist.npz and mnist.npz; without it, the made and
scikit-learn's data alone. All weightings share one pool of the teachers, the mixture, with its own precision,
concentration and strength, and once more the product pool, which the published losses' methods are of. Differences are
to the first row of each table, seed by seed, with 95 % t intervals; a star where the interval excludes 0 (of twenty
that differ by nothing, one has a star).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from experiments.listening import ways
from experiments.listening.interval_figure import interval_panels
from experiments.listening.kept_rows import Row
from experiments.listening.paired_table import differences_overview, paired, table
from experiments.listening.problems import BREAST_CANCER, DIGITS, IMBALANCED, Problem
from experiments.listening.scores import HEADINGS, differences, scores_of
from experiments.listening.study import Part, Settings, command, way_of
from experiments.listening.sweeps import Run, Sweep
from mtbkd.t_interval import Interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Blocks of a table, each with the way that its differences are to.
BLOCKS = {
    "mixture pool": "uniform",
    "product pool": "uniform",
    "normalisers of the mixture": "uniform, density",
    "temperatures, uniform weights": "fixed",
    "Bayesian teachers alone": "uniform",
}
PUBLISHED = "published, product pool"
POOLED = ("mixture pool", "product pool")
# Rules that are run where all of them would take too long.
FEW = ("uniform", "entropy", "learned")
POOLS: Mapping[str, tuple[str, ...]] = {"weighting": ("uniform", "entropy")}


def parts(settings: Settings) -> list[Part]:
    """All sweeps of this part."""
    found = []
    for problem in (DIGITS, BREAST_CANCER, IMBALANCED, *settings.from_files()):
        if problem.name == "fashion_mnist":
            found += [] if settings.quick else on_fashion(problem, settings)
            continue
        for engine in ("map",) if settings.quick and problem.name != "digits" else ("map", "svi"):
            found += of_engine(problem, engine, settings)
        if problem.name in ("digits", "proteins") and not (settings.quick and problem.name == "proteins"):
            all_of_them = problem.name == "digits" and not settings.quick
            chosen = {"weighting": ways.weightings() if all_of_them else FEW}
            found.append(part(problem, "hmc", "mixture pool", chosen, settings))
    return found


def of_engine(problem: Problem, engine: str, settings: Settings) -> list[Part]:
    """The blocks of a small problem's table with this engine."""
    every = engine == "map" and not (settings.quick and problem.name != "digits")
    product = {"weighting": ways.weightings()} if every else POOLS
    found = [
        part(problem, engine, "mixture pool", {"weighting": ways.weightings()}, settings),
        part(problem, engine, "product pool", product, settings, ("prior=dirichlet_product",)),
    ]
    if problem.name in ("digits", "breast_cancer"):
        of_draws = {"weighting": (*POOLS["weighting"], *ways.OF_DRAWS)}
        bayesian = ("teachers=ensembles_trio",)
        found.append(part(problem, engine, "Bayesian teachers alone", of_draws, settings, bayesian))
    if engine == "map" or (problem.name != "proteins" and not settings.quick):
        normalize = {**POOLS, "prior.normalize": ("density", "peak", "none")}
        temperature = {"temperature": ways.temperatures()}
        found += [
            *published(problem, engine, settings),
            part(problem, engine, "normalisers of the mixture", normalize, settings),
            part(
                problem,
                engine,
                "temperatures, uniform weights",
                temperature,
                settings,
                ("weighting=uniform",),
            ),
        ]
    return found


def published(problem: Problem, engine: str, settings: Settings) -> list[Part]:
    """Methods of the literature, as their experiments have them; Hydra's has a head a teacher, and no convolutions."""
    methods = tuple(name for name in ways.published() if name != ways.HEADS)
    others = part(problem, engine, PUBLISHED, {"experiment": methods}, settings)
    if problem.heads is None:
        return [others]
    more = (f"student.heads={problem.heads}",)
    return [others, part(problem, engine, PUBLISHED, {"experiment": (ways.HEADS,)}, settings, more, "_heads")]


def on_fashion(problem: Problem, settings: Settings) -> list[Part]:
    """What there is time for with images: all weightings by MAP, a few by posteriors of the last layer."""
    all_of_them = {"weighting": ways.weightings()}
    return [
        part(problem, "map", "mixture pool", all_of_them, settings),
        part(problem, "map", "product pool", POOLS, settings, ("prior=dirichlet_product",)),
        *published(problem, "map", settings),
        part(problem, "svi", "mixture pool", {"weighting": FEW}, settings),
        part(problem, "hmc", "mixture pool", {"weighting": FEW}, settings),
    ]


def part(
    problem: Problem,
    engine: str,
    block: str,
    swept: Mapping[str, tuple[str, ...]],
    settings: Settings,
    more: tuple[str, ...] = (),
    suffix: str = "",
) -> Part:
    """A block's sweep over its ways and the seeds; `more` words replace the problem's of the same key; `suffix` of the
    folder's name, where a block has several sweeps."""
    words, seconds = problem.with_engine(engine, settings.quick)
    replaced = {word.partition("=")[0] for word in more}
    words = tuple(word for word in words if word.partition("=")[0] not in replaced)
    name = f"{problem.name}-{engine}-{block.replace(', ', '_').replace(' ', '_')}{suffix}"
    seeds = settings.seeds_word()
    sweep = Sweep(name, (*words, *more, settings.cache), {**swept, "seed": seeds}, seconds)
    return Part(sweep, problem.title, engine, block)


def rows_of(part: Part, run: Run) -> list[Row]:
    """Its scores."""
    told = {"problem": part.problem, "engine": part.engine, "block": part.block, "way": way_of(run.swept)}
    return [{**told, "seed": run.seed, **scores_of(run)}]


def in_pools(found: pd.DataFrame) -> pd.DataFrame:
    """The rows with the published methods as more of the product pool's."""
    return found.assign(block=found["block"].replace(PUBLISHED, "product pool"))


def markdown(found: pd.DataFrame) -> str:
    """The NLL's differences of all data sets, a table an engine and pool; then all scores, a table a problem, engine
    and block."""
    found = in_pools(found)
    texts = []
    for (engine, block), own in found.groupby(["engine", "block"], sort=False):
        if own["problem"].nunique() > 1:
            baseline = BLOCKS[str(block)]
            compared = differences_overview(own, "nll", "problem", baseline)
            texts.append(f"### NLL − {baseline}: {engine}, {block}\n\n{compared}")
    texts += besides_rules(found)
    for (problem, engine, block), own in found.groupby(["problem", "engine", "block"], sort=False):
        heading = f"### {problem}: {engine}, {block}"
        baseline = BLOCKS[str(block)]
        texts.append(f"{heading}\n\n{table(own, HEADINGS, differences(baseline), baseline)}")
    return "\n\n".join(texts)


def besides_rules(found: pd.DataFrame) -> list[str]:
    """With uniform weights, what the pool and what the engine make of the NLL."""
    uniform = found[(found["way"] == "uniform") & found["block"].isin(POOLED)]
    texts = []
    for engine, own in uniform.groupby("engine", sort=False):
        compared = differences_overview(own.assign(way=own["block"]), "nll", "problem", POOLED[0])
        if own["block"].nunique() > 1:
            texts.append(
                f"### NLL of the product pool − mixture pool, uniform weights: {engine}\n\n{compared}"
            )
    for block, own in uniform.groupby("block", sort=False):
        compared = differences_overview(own.assign(way=own["engine"]), "nll", "problem", "map")
        if own["engine"].nunique() > 1:
            texts.append(f"### NLL of an engine − map, uniform weights: {block}\n\n{compared}")
    return texts


def figure(found: pd.DataFrame) -> "Figure":
    """The NLL's differences to uniform weights in both pools, by data set and engine."""
    panels: dict[str, dict[str, dict[str, Interval | None]]] = {}
    pooled = in_pools(found)
    for (problem, engine, block), own in pooled[pooled["block"].isin(POOLED)].groupby(
        ["problem", "engine", "block"], sort=False
    ):
        title = str(problem).partition(",")[0]
        panels.setdefault(title, {})[f"{engine}, {block}"] = paired(own, "nll", BLOCKS[str(block)])
    return interval_panels(panels, "NLL − uniform")


if __name__ == "__main__":
    command("weightings", __doc__, parts, rows_of, markdown, figure)
