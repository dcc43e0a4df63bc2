"""Differences to a baseline, seed by seed, and only between runs that were judged by the same rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtbkd.comparison.arms import Arm
from mtbkd.comparison.runs import Run
from mtbkd.data.npz import read_npz
from mtbkd.errors import InputError, nearest
from mtbkd.t_interval import LEVEL, Interval, paired_interval


@dataclass(frozen=True)
class Baseline:
    """What arms are compared with: the arm that is the same but for these settings, which have these values.

    settings: by key; all keys: one arm is the baseline of all
    chosen: whether a person chose it, and not the order of the runs
    """

    settings: dict[str, str]
    chosen: bool

    @property
    def words(self) -> str:
        """As it is written on the command line."""
        return " ".join(f"{key}={value}" for key, value in self.settings.items())

    def holds(self, arm: Arm) -> bool:
        """Whether an arm has all of its settings, and so is a baseline itself."""
        return self.settings.items() <= dict(arm.settings).items()

    def of(self, arm: Arm, arms: Sequence[Arm]) -> Arm | None:
        """The arm that one is compared with; None where it is its own, or there is none."""
        wanted = {**arm.settings, **self.settings}
        found = next((other for other in arms if dict(other.settings) == wanted), None)
        return None if found is arm else found


def baseline_of(arms: Sequence[Arm], words: Sequence[str]) -> Baseline:
    """The baseline that words `KEY=VALUE` choose; without words the first arm.

    Words for some of the keys alone match each arm with the one that is the same in all others. Raises `InputError`
    for keys and values that tell no arms apart.
    """
    if not words:
        return Baseline(dict(arms[0].settings), chosen=False)
    keys = list(arms[0].settings)
    settings = {}
    for word in words:
        key, equals, value = word.partition("=")
        key = key.removesuffix(".name")
        if not equals:
            raise InputError(
                f"--baseline {word}: write KEY=VALUE, such as {(keys or ['weighting'])[0]}=VALUE"
            )
        if key not in keys:
            told = nearest(key, keys) if keys else "there is one configuration only"
            raise InputError(f"--baseline {word}: the configurations do not differ in '{key}'; {told}")
        values = list(dict.fromkeys(arm.settings[key] for arm in arms))
        if value not in values:
            raise InputError(f"--baseline {word}: no finished run has this; {nearest(value, values)}")
        settings[key] = value
    found = Baseline(settings, chosen=True)
    if not any(found.holds(arm) for arm in arms):
        raise InputError(
            f"--baseline {found.words}: no finished run has all of these; choose values of one run"
        )
    return found


def difference(arm: Arm, other: Arm, score: str, level: float = LEVEL) -> Interval | None:
    """The interval of arm minus other over the seeds of both; None where no pair is left, or a score is infinite."""
    return paired_interval(*shared(arm, other, score), level)


def shared(arm: Arm, other: Arm, score: str) -> tuple[dict[int, float], dict[int, float]]:
    """The score of both by seed, where both have it and were judged by the same rows."""
    split = "validation" if score.startswith("validation_") else "test"
    one, base = arm.values(score), other.values(score)
    seeds = [seed for seed in one if seed in base and same_rows(arm, other, seed, split)]
    return {seed: one[seed] for seed in seeds}, {seed: base[seed] for seed in seeds}


def same_rows(arm: Arm, other: Arm, seed: int, split: str) -> bool:
    """Whether two arms were judged by the same rows of a split at this seed.

    By the hash of inputs and labels; where a setting of the data tells the arms apart (other features of the same
    proteins), by the names of the rows and their labels.
    """
    one, base = arm.runs[seed], other.runs[seed]
    name = f"data, {split}"
    if one.inputs.get(name) == base.inputs.get(name):
        return True
    keys = {key for key in arm.settings if key.split(".")[0] == "data"}
    if all(arm.settings[key] == other.settings.get(key) for key in keys):
        return False
    rows, others = labelled_rows(one, split), labelled_rows(base, split)
    return rows is not None and others is not None and all(map(np.array_equal, rows, others))


def labelled_rows(run: Run, split: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Names and labels of a split's rows, None where the run does not tell them, or its file is damaged."""
    if run.folder is None:
        return None
    ids, y = f"{split}_ids", f"{split}_y"
    try:
        said = read_npz(run.folder / "predictions.npz", (ids, y))
    except InputError:
        return None
    return said[ids], said[y]
