"""Part 2: teachers that are wrong on purpose. Whom does each rule still believe, and what does it cost?

    python -m experiments.listening.broken [--quick] [--seeds 5] [--jobs 1]

Digits with 5 % of the labels, four point teachers; the last one or two of them permuted (each class told as another) or
random. The rows "two good alone" and "three good alone" are what there was to win: the same good teachers without the
broken ones. Differences are to `uniform` with the same teachers and pool. In the mixture the student may follow whoever
fits it and the labels best; in the product everybody is heard as the weights say.
"""

from typing import TYPE_CHECKING

import pandas as pd

from experiments.listening import teacher_sets, ways
from experiments.listening.kept_rows import Row
from experiments.listening.line_figure import Line, panels
from experiments.listening.paired_table import overview, table
from experiments.listening.problems import DIGITS
from experiments.listening.scores import HEADINGS, differences, scores_of, trust_of, weights_of
from experiments.listening.study import Part, Settings, command
from experiments.listening.sweeps import Run, Sweep
from mtbkd.t_interval import shown, t_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SETS = (
    "four_good",
    "one_permuted",
    "two_permuted",
    "one_random",
    "two_random",
    "three_good_alone",
    "two_good_alone",
)
DRAWN = ("uniform", "entropy", "learned", "stacking", "best")
BROKEN = {"four_good": 0, "one_permuted": 1, "two_permuted": 2, "one_random": 1, "two_random": 2}


def parts(settings: Settings) -> list[Part]:
    """All sweeps of this part."""
    engines = ("map",) if settings.quick else ("map", "svi")
    return [
        *(of_pool("mixture", engine, settings) for engine in engines),
        of_pool("product", "map", settings),
    ]


def of_pool(pool: str, engine: str, settings: Settings) -> Part:
    """Every rule on every set of teachers, their densities mixed or multiplied."""
    words, seconds = DIGITS.with_engine(engine, settings.quick)
    words = (*(word for word in words if not word.startswith("teachers=")), f"prior=dirichlet_{pool}")
    chosen = DRAWN if settings.quick and pool == "product" else ways.weightings()
    swept = {"teachers": SETS, "weighting": chosen, "seed": settings.seeds_word()}
    sweep = Sweep(f"broken-{engine}-{pool}", (*words, settings.cache), swept, seconds, settings.config_dir)
    return Part(sweep, DIGITS.title, engine, f"{pool} pool")


def rows_of(part: Part, run: Run) -> list[Row]:
    """A row: scores, and the weight and trust that the broken teachers got together."""
    told = {"engine": part.engine, "pool": part.block, "teachers": run.swept["teachers"]}
    trust = trust_of(run)
    heard = {
        "broken_weight": of_broken(weights_of(run)),
        "broken_trust": of_broken(trust) if trust else None,
    }
    return [{**told, "way": run.swept["weighting"], "seed": run.seed, **scores_of(run), **heard}]


def of_broken(by_teacher: dict[str, float]) -> float:
    """What the broken ones of a set have together."""
    return sum(value for name, value in by_teacher.items() if name.startswith(teacher_sets.HOW))


def markdown(found: pd.DataFrame) -> str:
    """NLL at a glance, what the learned trust says, and a table a set of teachers."""
    headings = {**HEADINGS, "broken_weight": "weight of the broken"}
    texts = [
        f"### NLL at a glance: {engine}, {pool}\n\n{overview(own, 'nll', 'teachers')}"
        for (engine, pool), own in found.groupby(["engine", "pool"], sort=False)
    ]
    if trusted := trust_table(found):
        texts.append(trusted)
    for (engine, pool, teachers), own in found.groupby(["engine", "pool", "teachers"], sort=False):
        heading = f"### {DIGITS.title}: {engine}, {pool}, {str(teachers).replace('_', ' ')}"
        texts.append(f"{heading}\n\n{table(own, headings, differences(ways.BASELINE), ways.BASELINE)}")
    return "\n\n".join(texts)


def trust_table(found: pd.DataFrame) -> str:
    """The learned trust in the broken teachers together, a row a set; empty where none was learned."""
    trust = found[found["broken_trust"].notna() & (found["pool"] == "mixture pool")]
    lines = [
        f"| {engine} | {str(teachers).replace('_', ' ')} | {shown(t_interval(own['broken_trust']))} |"
        for (engine, teachers), own in trust.groupby(["engine", "teachers"], sort=False)
    ]
    head = [
        "### Learned trust in the broken teachers together\n",
        "| engine | teachers | trust |",
        "|---|---|---|",
    ]
    return "\n".join([*head, *lines]) if lines else ""


def figure(found: pd.DataFrame) -> "Figure":
    """NLL against the number of broken teachers, a panel a pool and kind, by MAP."""
    own = found[(found["engine"] == "map") & found["way"].isin(DRAWN) & found["teachers"].isin(list(BROKEN))]
    own = own.assign(number=own["teachers"].map(BROKEN))
    lines = {}
    for pool, of_pool in own.groupby("pool", sort=False):
        for how in teacher_sets.HOW:
            sets = ("four_good", f"one_{how}", f"two_{how}")
            drawn = of_pool[of_pool["teachers"].isin(sets)].groupby("way", sort=False)
            lines[f"{how}, {pool}"] = [Line.of(way, rows, "number", "nll") for way, rows in drawn]
    return panels(lines, "broken teachers of four", "NLL on test rows")


if __name__ == "__main__":
    command("broken", __doc__, parts, rows_of, markdown, figure)
