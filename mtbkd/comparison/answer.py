"""The answer first: which is best and how sure, in sentences that the numbers carry."""

import math
from collections.abc import Iterator, Sequence

from mtbkd.comparison.arms import Arm
from mtbkd.comparison.comparison import Comparison, Row
from mtbkd.comparison.scores import decimals, heading
from mtbkd.evaluation.directions import better
from mtbkd.report.tables import counted
from mtbkd.report.verdict import Answer, Finding, Tile
from mtbkd.t_interval import LEVEL, Interval, shown

MOST_NAMES = 4
DOUBTED = ("doubtful", "not converged")


def answer(found: Comparison) -> Answer:
    """The opening of the page."""
    return Answer(headline(found), list(lead(found)), list(tiles(found)), list(findings(found)))


def headline(found: Comparison) -> str:
    """Which is best by validation rows; without a choice, why there is none."""
    if not found.rows:
        return f"No run is finished: {counted(len(found.failed), 'run')} without scores"
    if len(found.rows) == 1:
        row = found.rows[0]
        scores = ", ".join(f"{heading(s)} {told(row.means[s], found, s)}" for s in found.scores[:2])
        return f"{row.arm.name}: {scores} over {counted(len(row.arm.runs), 'seed')}"
    best = found.choice.best
    if best is None:
        return f"Which of the {len(found.rows)} is best cannot be said without their test scores: {found.choice.why}"
    others = "compared" if found.choice.candidates == len(found.rows) else "with validation scores"
    return f"Of {found.choice.candidates} {others}, {best.name} has the best validation NLL"


def lead(found: Comparison) -> Iterator[str]:
    """How sure that is: what validation does not tell apart from it, and its difference on test rows."""
    best = found.choice.best
    if not found.rows:
        return
    if best is None:
        if len(found.rows) > 1:
            yield "To choose by the scores on test rows would be to train on them: what follows describes, and no more."
        return
    even = [arm.name for arm in found.choice.even]
    seeds = counted(len(found.choice.seeds), "seed")
    if len(found.choice.seeds) < 2:
        yield "By one seed, the only one that all have: how sure that is cannot be told."
    elif even:
        yield f"Over {seeds} validation does not tell it apart from {listed(even)}."
    else:
        yield f"Validation tells it apart from every other one, over {seeds}, each taken by itself."
    row = next(row for row in found.rows if row.arm is best)
    if row.baseline is not None:
        yield from against_baseline(row, found)
    elif found.baseline.holds(best):
        yield "It is the baseline itself."


def against_baseline(row: Row, found: Comparison) -> Iterator[str]:
    """Its difference on test rows, in the NLL where that is compared, else in the first score."""
    score = "nll" if "nll" in found.scores else found.scores[0]
    gap = row.differences[score]
    assert row.baseline is not None
    if gap is None:
        yield f"Its {heading(score)} on test rows cannot be set against that of {row.baseline.name}."
        return
    places = decimals([gap.mean, found_mean(found, score)])
    side = "above" if gap.mean > 0 else "below"
    size = (
        f"On test rows its {heading(score)} is {abs(gap.mean):.{places}f} {side} that of {row.baseline.name}"
    )
    if gap.count == 1:
        yield f"{size}, on the one seed that both have."
    elif gap.half == 0:
        yield f"{size}, the same on each of {gap.count} shared seeds: how sure that is cannot be told."
    else:
        sure = "which excludes 0" if gap.excludes_zero else "which includes 0"
        yield (
            f"{size}: a {LEVEL:.0%} interval of {gap.low:+.{places}f} to {gap.high:+.{places}f} over "
            f"{counted(gap.count, 'shared seed')}, {sure}."
        )


def tiles(found: Comparison) -> Iterator[Tile]:
    """Numbers to be seen first."""
    done = [run for run in found.runs if run.finished]
    left = len(found.failed)
    yield Tile(
        "Runs finished",
        f"{len(done)} of {len(found.runs)}",
        f"{left} without scores" if left else "none failed",
        "bad" if left else "good",
    )
    if not found.rows:
        return
    configurations = {id_of(row.arm) for row in found.rows}
    models = list(dict.fromkeys(row.arm.model for row in found.rows))
    yield Tile("Configurations", str(len(configurations)), f"{listed([m.replace('_', ' ') for m in models])}")
    counts = [len(row.arm.runs) for row in found.rows]
    least, most = min(counts), max(counts)
    yield Tile("Seeds each", str(most) if least == most else f"{least} to {most}", "pairs by seed")
    told_apart = sum(gap.excludes_zero for _, _, gap in found.told)
    yield Tile("Differences", f"{told_apart} of {len(found.told)}", "have an interval without 0")
    seconds = [run.seconds for run in done if run.seconds is not None]
    yield Tile("Time", duration(sum(seconds)), f"{duration(max(seconds, default=0))} the longest run")


def id_of(arm: Arm) -> tuple[tuple[str, str], ...]:
    """What tells its configuration from others', its model aside."""
    return tuple((key, value) for key, value in arm.settings.items() if key != "model")


def findings(found: Comparison) -> Iterator[Finding]:
    """What else there is to know, one sentence each."""
    if len(found.rows) > 1:
        yield Finding(of_baseline(found))
    yield from of_many(found)
    yield from of_seeds(found)
    yield from of_splits(found)
    yield from of_rows(found)
    if any(math.isinf(mean.mean) for row in found.rows for mean in row.means.values()):
        yield Finding("∞: in one run at least, a test row's true class was given probability 0.", "bad")
    doubted = [run.name for run in found.runs if run.diagnostics in DOUBTED]
    if doubted:
        yield Finding(f"Diagnostics doubt {counted(len(doubted), 'run')}: {listed(doubted)}.", "bad")
    if found.failed:
        yield Finding(
            f"{counted(len(found.failed), 'run')} without scores: left out of every mean. Where failing depends on how "
            "well a fit goes, the means flatter.",
            "bad",
        )
    yield from of_versions(found)
    for note in found.notes:
        yield Finding(note)


def of_baseline(found: Comparison) -> str:
    """Which the baseline is and who chose it."""
    words = found.baseline.words
    if found.baseline.chosen:
        same = set(found.keys) - set(found.baseline.settings)
        return f"Differences are to {words}" + (", of what is else the same." if same else ".")
    return (
        f"Differences are to {words}: the first configuration, chosen by its place and by no score. Another: "
        f"mtbkd-compare FOLDER --baseline {found.keys[0]}=VALUE."
    )


def of_many(found: Comparison) -> Iterator[Finding]:
    """How many comparisons there are, and what chance alone makes of so many."""
    count = len(found.told)
    if count < 2:
        return
    yield Finding(
        f"{count} differences are told with {LEVEL:.0%} intervals. Were all of them chance, about "
        f"{(1 - LEVEL) * count:.2g} would exclude 0; {sum(gap.excludes_zero for _, _, gap in found.told)} do, and "
        f"{found.surviving()} still do when the level is shared among all {count} (Bonferroni)."
    )


def of_seeds(found: Comparison) -> Iterator[Finding]:
    """Whether means are of the same seeds."""
    seeds = {tuple(row.arm.runs) for row in found.rows}
    every = sorted({seed for own in seeds for seed in own})
    if len(every) == 1:
        yield Finding("One seed: there are no intervals, and no difference can be told from chance.", "bad")
    short = [
        f"{row.arm.name} has {len(row.arm.runs)} of {len(every)}"
        for row in found.rows
        if len(row.arm.runs) < len(every)
    ]
    if short:
        yield Finding(
            f"Not all have the same seeds: {listed(short)}. Means are over the own seeds of each, differences over "
            "those that both have.",
            "bad",
        )
    splits = {run.inputs.get("data, test") for row in found.rows for run in row.arm.runs.values()}
    if found.choice.best is not None and len(splits) > 1 and len(every) > 1:
        yield Finding(
            "The seed draws the split too: a row that one seed validates by, another may test by, so that the choice "
            "has seen some test rows of other seeds."
        )


def of_splits(found: Comparison) -> Iterator[Finding]:
    """What an interval over seeds does not hold, by whether they share their test rows; none where that is not told."""
    several = [row.arm.runs.values() for row in found.rows if len(row.arm.runs) > 1]
    drawn = [{run.inputs.get("data, test") for run in runs} for runs in several]
    if not drawn or any(None in splits for splits in drawn):
        return
    if all(len(splits) == 1 for splits in drawn):
        yield Finding(
            "All seeds share the same test rows: an interval over seeds is for these rows alone, and does not say how "
            "far scores on others would differ."
        )
    elif all(len(splits) > 1 for splits in drawn):
        yield Finding(
            "Each seed draws its own split of the data, and such splits overlap: an interval over seeds takes them for "
            "independent and is somewhat short (Nadeau and Bengio 2003)."
        )


def of_rows(found: Comparison) -> Iterator[Finding]:
    """Which could not be paired with their baseline."""
    for row in found.rows:
        if row.baseline is None:
            continue
        common = set(row.arm.runs) & set(row.baseline.runs)
        pairs = max((gap.count for gap in row.differences.values() if gap), default=None)
        if not common:
            yield Finding(f"{row.arm.name} shares no seed with {row.baseline.name}: no difference.", "bad")
        elif pairs is not None and pairs < len(common):
            yield Finding(
                f"{row.arm.name}: {pairs} of {len(common)} shared seeds were judged by the same test rows as "
                f"{row.baseline.name}.",
                "bad",
            )
        elif pairs is None and not any(math.isinf(mean.mean) for mean in row.means.values()):
            yield Finding(
                f"{row.arm.name} was judged by other test rows than {row.baseline.name}: no difference.",
                "bad",
            )


def of_versions(found: Comparison) -> Iterator[Finding]:
    """Packages of which the runs had different versions."""
    seen: dict[str, set[str]] = {}
    for run in found.runs:
        for package, version in run.versions.items():
            seen.setdefault(package, set()).add(version)
    mixed = [f"{package} {', '.join(sorted(had))}" for package, had in seen.items() if len(had) > 1]
    if mixed:
        yield Finding(f"The runs were made with different versions: {'; '.join(mixed)}.")


def found_mean(found: Comparison, score: str) -> float:
    """The largest mean of a score, by which its places are chosen."""
    return max(
        (abs(row.means[score].mean) for row in found.rows if math.isfinite(row.means[score].mean)),
        default=0.0,
    )


def told(value: Interval, found: Comparison, score: str) -> str:
    """An interval with as many places as all of its score have."""
    return shown(value, decimals=decimals([found_mean(found, score)])) or "–"


def tone_of(row: Row, score: str) -> str:
    """Whether a row's difference is good or bad news, plain where its interval includes 0."""
    verdict = row.best(score)
    return "plain" if verdict is None or better(score) is None else "good" if verdict else "bad"


def listed(names: Sequence[str]) -> str:
    """Some names in a sentence; of many the first."""
    if len(names) > MOST_NAMES:
        return f"{'; '.join(names[:MOST_NAMES])} and {len(names) - MOST_NAMES} more"
    return "; ".join(names)


def duration(seconds: float) -> str:
    """`8 s`, `3.5 min`, `2.1 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
