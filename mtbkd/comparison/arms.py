"""What is compared: arms, each one configuration's model on its seeds.

A configuration is what runs share that differ by seed alone. Settings that change no result (incidental ones, the
report) are no part of it, and of a path the last part alone is: machines keep their files in different folders.
"""

import json
import re
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from mtbkd.comparison.runs import MODELS, Run
from mtbkd.configuration import incidental
from mtbkd.errors import InputError, nearest

ABSENT = "–"
MODEL = "model"
# What the hashes of run.json are called begins with one of these; beside it the group whose paths lead to it.
GROUP_OF = {"data": "data", "teacher": "teachers", "weight": "student"}


@dataclass(frozen=True)
class Arm:
    """One configuration's model.

    settings: its values of the keys that tell arms apart, as text; runs: the finished ones that have the model, by seed
    """

    settings: Mapping[str, str]
    model: str
    runs: Mapping[int, Run]

    @property
    def name(self) -> str:
        """Its values, for people: what they are of is said beside."""
        return " · ".join(self.settings.values()) or self.model.replace("_", " ")

    @property
    def words(self) -> str:
        """Its settings as they are written on the command line."""
        return " ".join(f"{key}={value}" for key, value in self.settings.items()) or self.model

    def values(self, score: str) -> dict[int, float]:
        """Its score by seed, of the seeds that have it."""
        found = {seed: run.scores[self.model].get(score) for seed, run in self.runs.items()}
        return {seed: value for seed, value in found.items() if value is not None}


def arms_of(runs: Sequence[Run], models: Sequence[str] = ()) -> tuple[list[Arm], list[str]]:
    """The arms in the order of the runs, and what is to be known of runs that are in none.

    models: those compared; none: the student, or all models where there is one configuration only
    Raises `InputError` for a model that no run has.
    """
    finished = [run for run in runs if run.finished]
    by_configuration, notes = grouped(finished)
    there = {model: None for run in finished for model in run.scores}
    for model in models:
        if model not in there:
            raise InputError(f"--model {model}: no finished run has this model; {nearest(model, there)}")
    chosen = tuple(models) or (("student",) if len(by_configuration) > 1 else tuple(sorted(there, key=rank)))
    found = []
    for settings, own in by_configuration.items():
        for model in chosen:
            having = {run.seed: run for run in own if model in run.scores}
            if having:
                named = dict(settings) | ({MODEL: model} if len(chosen) > 1 else {})
                found.append(Arm(named, model, dict(sorted(having.items()))))
    return found, notes


def rank(model: str) -> tuple[int, str]:
    """The order of models: students, the teachers' ensemble, single teachers."""
    return (MODELS.index(model), "") if model in MODELS else (len(MODELS), model)


Settings = tuple[tuple[str, str], ...]


def grouped(runs: Sequence[Run]) -> tuple[dict[Settings, list[Run]], list[str]]:
    """The runs of each configuration, one a seed, and what is to be said of those left out."""
    keys = telling_keys(runs)
    settings = {id(run): settings_of(run, keys) for run in runs}
    if whole := clashing(runs, settings):
        # Files of one name that are not the same: their paths tell them apart.
        settings = {id(run): settings_of(run, keys, whole) for run in runs}
    groups: dict[Settings, list[Run]] = defaultdict(list)
    for run in runs:
        groups[settings[id(run)]].append(run)
    notes: list[str] = []
    kept = {own: list(newest(members, notes)) for own, members in groups.items()}
    return constant_dropped(kept), notes


def telling_keys(runs: Sequence[Run]) -> list[str]:
    """The keys in which configurations differ, but for those that the choice of a group's method decides alone."""
    keys = list(dict.fromkeys(key for run in runs for key in run.config))
    varied = [
        key for key in keys if not of_no_matter(key) and len({text(run.config, key) for run in runs}) > 1
    ]
    return [key for key in varied if not decided(key, varied, runs)]


def of_no_matter(key: str) -> bool:
    """Whether runs that differ in it alone are of one configuration."""
    return key == "seed" or incidental(key) or key.startswith("report.")


def decided(key: str, varied: Iterable[str], runs: Sequence[Run]) -> bool:
    """Whether the name of the key's group decides its value: `inference.draws`, where it is the engine's default."""
    name = f"{key.partition('.')[0]}.name"
    if key == name or name not in varied:
        return False
    pairs = {(text(run.config, name), text(run.config, key)) for run in runs}
    return len(pairs) == len({chosen for chosen, _ in pairs})


def text(config: Mapping[str, Any], key: str) -> str:
    """A value as text that tells it from all others."""
    return json.dumps(config[key], default=str) if key in config else ABSENT


def settings_of(run: Run, keys: Sequence[str], whole: Container[str] = ()) -> Settings:
    """A run's values of these keys for people, `weighting.name` as `weighting`; paths by their last part.

    whole: groups whose paths are told whole
    """
    found = []
    for key in keys:
        short_path = is_path(key) and key.partition(".")[0] not in whole
        found.append((key.removesuffix(".name"), written(run.config.get(key, ABSENT), short_path)))
    return tuple(found)


def is_path(key: str) -> bool:
    """Whether its value is a path, or several."""
    last = key.rpartition(".")[2]
    return last in ("path", "prior_from") or last.endswith("_path")


def written(value: Any, short_path: bool) -> str:
    """A value as on the command line; a path by its last part where it is to be short."""
    if isinstance(value, str):
        return (PurePath(value).name or value) if short_path else value
    if isinstance(value, list):
        return f"[{','.join(written(one, short_path) for one in value)}]"
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value, default=str)


def clashing(runs: Sequence[Run], settings: Mapping[int, Settings]) -> set[str]:
    """The groups whose files are not the same in runs of the same settings and seed."""
    found: set[str] = set()
    first: dict[Any, dict[str, list[str]]] = {}
    for run in runs:
        if run.inputs:
            own = made_from(run)
            other = first.setdefault((settings[id(run)], run.seed), own)
            found |= {group for group in (*own, *other) if own.get(group) != other.get(group)}
    return found


def made_from(run: Run) -> dict[str, list[str]]:
    """The hashes of what a run was made from, by the group whose paths lead to it."""
    hashes: dict[str, list[str]] = defaultdict(list)
    for name, value in run.inputs.items():
        hashes[GROUP_OF.get(re.match(r"\w*", name)[0], "")].append(value)  # type: ignore[index]
    return {group: sorted(values) for group, values in hashes.items()}


def newest(runs: Sequence[Run], notes: list[str]) -> Iterable[Run]:
    """The runs, of those of one seed the one that was finished last; of the others it adds a note."""
    last: dict[int, Run] = {}
    for run in sorted(runs, key=lambda one: one.ended):
        last[run.seed] = run
    for run in runs:
        taken = last[run.seed]
        if run is taken:
            yield run
            continue
        why = differing_inputs(run, taken)
        notes.append(
            f"{run.name} is left out: {taken.name} has the same settings and seed, and was finished later"
            + (f"; they were made from different things: {', '.join(why)}." if why else ".")
        )


def differing_inputs(one: Run, other: Run) -> list[str]:
    """What two runs were not made from alike."""
    names = sorted({*one.inputs, *other.inputs})
    return [name for name in names if one.inputs.get(name) != other.inputs.get(name)]


def constant_dropped(groups: Mapping[Settings, list[Run]]) -> dict[Settings, list[Run]]:
    """The same without settings that all share: paths of one name."""
    values = defaultdict(set)
    for settings in groups:
        for key, value in settings:
            values[key].add(value)
    return {
        tuple((key, value) for key, value in settings if len(values[key]) > 1): runs
        for settings, runs in groups.items()
    }
