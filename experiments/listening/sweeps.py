"""One sweep of `mtbkd`, as a person would type it, and what its runs left.

A sweep that was stopped goes on where it was: finished runs are left alone, and a sweep whose runs are all finished is
not started. (After a change of settings or code remove the folders that it concerns.)
"""

import itertools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
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
    seconds: of a run on one thread, about
    """

    name: str
    constant: tuple[str, ...]
    swept: Mapping[str, tuple[str, ...]]
    seconds: float

    def combinations(self) -> Iterator[dict[str, str]]:
        """What each run has of the swept keys."""
        for values in itertools.product(*self.swept.values()):
            yield dict(zip(self.swept, values, strict=True))

    def command(self, root: Path, jobs: int = 1, config_dir: Path | None = None) -> list[str]:
        """What a person would type, of this Python's environment."""
        words = [str(Path(sys.executable).with_name("mtbkd")), "-m"]
        words += [] if config_dir is None else ["--config-dir", str(config_dir)]
        words += [*self.constant, *(f"{key}={','.join(values)}" for key, values in self.swept.items())]
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

    def do(self, root: Path, jobs: int = 1, config_dir: Path | None = None) -> list[Run]:
        """Do what is left, and give the finished runs; what went wrong is told, and leaves the others alone."""
        if len(self.finished(root)) < len(list(self.combinations())):
            command = self.command(root, jobs, config_dir)
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            (root / self.name).mkdir(parents=True, exist_ok=True)
            (root / self.name / "output.log").write_text(f"{done.stdout}\n{done.stderr}")
            for problem in problems_of(done.stderr) if done.returncode else ():
                print(f"  {self.name}: {problem}", file=sys.stderr)
        return self.finished(root)


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
