"""One sweep of `mtbkd`, as a person would type it, and what its runs left.

A sweep that was stopped goes on where it was: only what is left of it is started. (After a change of code remove the
folders, and the kept rows, that it concerns.)
"""

import hashlib
import itertools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from mtbkd import registry
from mtbkd.configuration import typed
from mtbkd.data.distillation import DistillationData
from mtbkd.posterior import Posterior


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, and what was swept, by key."""

    folder: Path
    swept: Mapping[str, str]

    @property
    def seed(self) -> int:
        return int(self.swept["seed"])

    @property
    def metrics(self) -> dict[str, Any]:
        """What its metrics.json says."""
        found: dict[str, Any] = json.loads((self.folder / "metrics.json").read_text())
        return found

    @property
    def config(self) -> dict[str, Any]:
        """Its resolved configuration."""
        found: dict[str, Any] = json.loads((self.folder / "run.json").read_text())["config"]
        return found

    def data(self) -> DistillationData:
        """Its data, loaded again."""
        chosen = self.config["data"]
        method = registry.find("data", chosen["name"])
        wanted = registry.config_class(method)
        assert wanted is not None
        loaded: DistillationData = method.load(typed("data", wanted, chosen), int(self.config["seed"]))
        return loaded

    def posterior(self) -> Posterior:
        """Its Bayesian student."""
        return Posterior.load(self.folder / "posterior")


@dataclass(frozen=True)
class Sweep:
    """All combinations of some settings.

    name: of its folder; constant: words of the command that all runs share; swept: the values of each key, of seeds too
    seconds: of a run on one thread, about; config_dir: of Hydra's files that only this sweep has
    """

    name: str
    constant: tuple[str, ...]
    swept: Mapping[str, tuple[str, ...]]
    seconds: float
    config_dir: Path | None = None

    def combinations(self) -> Iterator[dict[str, str]]:
        """What each run has of the swept keys."""
        for values in itertools.product(*self.swept.values()):
            yield dict(zip(self.swept, values, strict=True))

    def command(self, swept: Mapping[str, tuple[str, ...]], root: Path, jobs: int = 1) -> list[str]:
        """What a person would type for some of its values, of this Python's environment."""
        words = [str(Path(sys.executable).with_name("mtbkd")), "-m"]
        words += [] if self.config_dir is None else ["--config-dir", str(self.config_dir)]
        words += [*self.constant, *(f"{key}={as_swept(values)}" for key, values in swept.items())]
        words += ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={jobs}"] if jobs > 1 else []
        return [*words, f"hydra.sweep.dir={root / self.name}"]

    def finished(self, root: Path) -> list[Run]:
        """Its runs that are done, in the order of their combinations; a run made from other words is none of its."""
        found = {}
        for path in sorted((root / self.name).glob("*/run.json")):
            if json.loads(path.read_text())["state"] == "finished":
                found[words_of(path.parent)] = path.parent
        runs = ((found.get(self.words(chosen)), chosen) for chosen in self.combinations())
        return [Run(folder, chosen) for folder, chosen in runs if folder is not None]

    def words(self, chosen: Mapping[str, str]) -> frozenset[str]:
        """Those of one run, as Hydra writes them."""
        words = (*self.constant, *(f"{key}={value}" for key, value in chosen.items()))
        return frozenset(map(as_hydra_writes, words))

    def settings_of(self, chosen: Mapping[str, str]) -> str:
        """A hash of one run's words, the same on every machine."""
        words = (anywhere(word) for word in self.words(chosen) if not word.startswith("teachers.cache="))
        return hashlib.sha256("\n".join(sorted(words)).encode()).hexdigest()[:12]

    def do(self, combinations: Iterable[Mapping[str, str]], root: Path, jobs: int = 1) -> None:
        """Do these runs; what went wrong is told, and leaves the others alone."""
        outputs = []
        for swept in products(combinations):
            done = subprocess.run(
                self.command(swept, root, jobs), capture_output=True, text=True, check=False
            )
            outputs.append(f"{done.stdout}\n{done.stderr}")
            (root / self.name).mkdir(parents=True, exist_ok=True)
            (root / self.name / "output.log").write_text("\n".join(outputs))
            for problem in problems_of(done.stderr) if done.returncode else ():
                print(f"  {self.name}: {problem}", file=sys.stderr)


def products(combinations: Iterable[Mapping[str, str]]) -> list[dict[str, tuple[str, ...]]]:
    """Values of each key whose products together are the combinations, none of them twice: key by key, from the last,
    those that differ in its value alone are joined."""
    found: list[dict[str, tuple[str, ...]]]
    found = [{key: (value,) for key, value in chosen.items()} for chosen in combinations]
    for key in reversed(found[0] if found else {}):
        joined: dict[tuple[tuple[str, ...], ...], dict[str, tuple[str, ...]]] = {}
        for one in found:
            others = tuple(values for other, values in one.items() if other != key)
            before = joined.get(others, {}).get(key, ())
            joined[others] = {**one, key: (*before, *one[key])}
        found = list(joined.values())
    return found


def as_swept(values: tuple[str, ...]) -> str:
    """Values of a key in the command. One alone is swept too: runs' folders are named by what is swept."""
    return ",".join(values) if len(values) > 1 else f"choice({values[0]})"


def anywhere(word: str) -> str:
    """The word with an absolute path cut down to the file's name."""
    key, _, value = word.partition("=")
    return f"{key}={Path(value).name if Path(value).is_absolute() else value}"


@cache
def as_hydra_writes(word: str) -> str:
    """A word of the command as `.hydra/overrides.yaml` of a sweep's run has it: `key=true` is `key=True` there."""
    parsed = OverridesParser.create().parse_override(word)
    return f"{parsed.get_key_element()}={parsed.get_value_element_as_str()}"


def problems_of(output: str) -> list[str]:
    """What runs of a sweep complained of, each complaint once, with the number of runs that had it."""
    told = [line.removeprefix("mtbkd: ") for line in output.splitlines() if line.startswith("mtbkd: ")]
    # `seed=0,weighting=meta: why`: the run's name is left out.
    whys = Counter(line.partition(": ")[2] for line in told if not line.startswith("warning"))
    return [f"{why} ({number} times)" if number > 1 else why for why, number in whys.items()]


def words_of(folder: Path) -> frozenset[str]:
    """The words that a run was given."""
    return frozenset(map(str, OmegaConf.load(folder / ".hydra" / "overrides.yaml")))
