"""Effective draws a second of exact samplers on the digits posterior: ours, NumPyro, BlackJAX, Pyro.

    python -m experiments.benchmarks.hmc [--json] [--quick] [--device cuda] [--repeats 3] [--warmup 200 --draws 200]
        [--keep FOLDER]

Network 64-16-16-10 (1,482 weights), 1,437 rows, float32, 16 chains that start from the same 16 MAPs, whose seconds
count for everyone, as do compilation and warm-up; each run is a process of its own with an empty compiler cache.
Effective draws are of the probability of the true class at 100 held-out inputs. A ratio counts where both samplers'
means agree within 3 Monte Carlo errors and both mixed. Pyro's chains run one after the other: it gets 4 of the 16,
shared by as many processes as there are cores, once. With `--keep` finished runs stay in a folder, and a command that
was stopped goes on there. On CUDA: 64, 256 and 1,024 chains.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np
import torch

from experiments.benchmarks.command import Options, main
from experiments.benchmarks.effective import Effective, agreement
from experiments.benchmarks.peers import missing
from experiments.benchmarks.problem import given_or_digits, made_up
from experiments.benchmarks.result import LEFT_OUT, Result, Row
from experiments.benchmarks.turns import Ratio
from mtbkd.errors import InputError, nearest
from mtbkd.threads import available_cores

OURS, PYRO = "ours", "pyro"


@dataclass(frozen=True)
class Peer:
    """title: in the table; modules: what it needs; target: ratio to reach; once: in the first round alone."""

    title: str
    modules: tuple[str, ...]
    target: float
    once: bool = False


PEERS = {
    "numpyro": Peer("NumPyro NUTS, vectorised chains", ("numpyro", "jax"), 5.0),
    "blackjax": Peer("BlackJAX ChEES-HMC, defaults", ("blackjax", "jax"), 1.5),
    "blackjax_diagonal": Peer("BlackJAX ChEES-HMC, diagonal mass", ("blackjax", "jax"), 1.5),
    PYRO: Peer("Pyro NUTS", ("pyro",), 30.0, once=True),
}


@dataclass(frozen=True)
class Size:
    """Chains and iterations of every run; Pyro's are fewer, because one second of its is worth little."""

    chains: int
    warmup: int
    draws: int
    pyro_chains: int
    pyro_warmup: int
    pyro_draws: int


@dataclass(frozen=True)
class Finished:
    """A run: `probs [C, S, Q]`, seconds with those of the starts, what the sampler told."""

    probs: np.ndarray
    seconds: float
    figures: dict[str, float]


Runs = dict[str, list[Finished]]


def benchmark(options: Options) -> Result:
    """All samplers by turns, for each number of chains."""
    device = options.torch_device
    skipped = {}
    left_out = chosen(options.without)
    for name, peer in PEERS.items():
        reason = missing(*peer.modules, device=device if "jax" in peer.modules else None)
        if peer.once and device.type == "cuda":
            reason = "it runs one chain after the other, which a GPU does not help"
        if name in left_out:
            reason = LEFT_OUT
        if reason:
            skipped[peer.title] = reason
    names = [OURS, *(name for name, peer in PEERS.items() if peer.title not in skipped)]
    rows: list[Row] = []
    figures: dict[str, float] = {}
    sizes = [size_of(options, chains) for chains in numbers_of_chains(options, device)]
    with ExitStack() as stack:
        folder = options.keep or stack.enter_context(tempfile.TemporaryDirectory())
        Path(folder).mkdir(parents=True, exist_ok=True)
        small = options.quick and not options.problem
        problem = made_up(100, held_out=10) if small else given_or_digits(options.problem)
        problem.save(Path(folder) / "problem.npz")
        for size in sizes:
            runs = Turns(Path(folder), size, options).all(names)
            for name, failed in runs.failures.items():
                skipped[PEERS[name].title] = failed
            rows += rows_of(runs.runs, size)
            figures |= figures_of(runs.runs, size)
    settings = {"data": problem.name, "repeats": rounds(options), "sizes": [vars(size) for size in sizes]}
    return Result("hmc", rows, skipped, figures, settings)


def chosen(without: str | None) -> list[str]:
    """Names of peers; raises `InputError` for one that is none."""
    names = [] if without is None else without.split(",")
    for name in names:
        if name not in PEERS:
            raise InputError(f"--without: peer '{name}' is unknown; {nearest(name, PEERS)}")
    return names


def rounds(options: Options) -> int:
    """Three runs of each sampler: each takes minutes."""
    return options.repeats or (1 if options.quick else 3)


def numbers_of_chains(options: Options, device: torch.device) -> Sequence[int]:
    """16, and what a GPU is for."""
    if options.chains:
        return (options.chains,)
    if options.quick:
        return (2,)
    return (64, 256, 1024) if device.type == "cuda" else (16,)


def size_of(options: Options, chains: int) -> Size:
    """The run's iterations."""
    warmup, draws = options.warmup or 200, options.draws or 200
    if options.quick:
        return Size(chains, options.warmup or 20, options.draws or 8, 1, 4, 4)
    return Size(chains, warmup, draws, min(4, chains), min(200, warmup), min(200, draws))


@dataclass
class Turns:
    """Runs of all samplers in turns; what they write lies in `folder`."""

    folder: Path
    size: Size
    options: Options

    def all(self, names: Sequence[str]) -> "AllRuns":
        """`rounds` runs of each, the first of which is another one's in each round."""
        starting = self.starts()
        found = AllRuns({name: [] for name in names}, {})
        for turn in range(rounds(self.options)):
            first = turn % len(names)
            for name in (*names[first:], *names[:first]):
                if name in found.failures or (name in PEERS and PEERS[name].once and turn > 0):
                    continue
                try:
                    found.runs[name].append(self.one(name, turn, starting))
                except subprocess.CalledProcessError as error:
                    if name == OURS:
                        raise RuntimeError(error.stderr[-3000:]) from error
                    found.failures[name] = "it failed: " + error.stderr.strip().splitlines()[-1][:300]
                    found.runs.pop(name)
        return found

    def starts(self) -> float:
        """Make the common starts; their seconds."""
        out = self.folder / f"starts-{self.size.chains}.npz"
        if not out.exists():
            finish(self.command("starts", out, self.size.chains, seed=0))
        return float(np.load(out)["seconds"])

    def one(self, name: str, seed: int, starting: float) -> Finished:
        """One run of one sampler; Pyro's chains shared by as many processes as there are cores."""
        size = self.size
        pyro = name == PYRO
        chains = size.pyro_chains if pyro else size.chains
        processes = min(chains, available_cores()) if pyro else 1
        firsts = [round(i * chains / processes) for i in range(processes + 1)]
        length = (size.pyro_warmup, size.pyro_draws) if pyro else (size.warmup, size.draws)
        called = "-".join(map(str, (name, chains, *length, seed)))
        outs = [self.folder / f"{called}-{i}.npz" for i in range(processes)]
        running = [
            self.command(name, out, last - first, seed * 100 + first, first, threads=1 if pyro else None)
            for out, first, last in zip(outs, firsts[:-1], firsts[1:], strict=True)
            if not out.exists()
        ]
        for process in running:
            finish(process)
        parts = [np.load(out) for out in outs]
        seconds = max(float(part["seconds"]) for part in parts) + starting
        figures = json.loads(str(parts[0]["figures"])) | {"seconds": seconds}
        probs = np.concatenate([part["probs"] for part in parts])
        print(f"{name}: {probs.shape[0]} chains, {seconds:.0f} s", file=sys.stderr, flush=True)
        return Finished(probs, seconds, figures)

    def command(
        self, name: str, out: Path, chains: int, seed: int, first: int = 0, threads: int | None = None
    ) -> "subprocess.Popen[str]":
        """Start a sampler's process, with a compiler cache of its own that is empty."""
        size = self.size
        warmup, draws = (size.pyro_warmup, size.pyro_draws) if name == PYRO else (size.warmup, size.draws)
        words = {
            "problem": self.folder / "problem.npz",
            "start": self.folder / f"starts-{size.chains}",
            "out": out,
            "chains": chains,
            "first": first,
            "warmup": warmup,
            "draws": draws,
            "seed": seed,
            "device": self.options.device,
        }
        command = [sys.executable, "-m", "experiments.benchmarks.hmc_samplers", name]
        command += [word for key, value in words.items() for word in (f"--{key}", str(value))]
        command += ["--quick"] * self.options.quick
        environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": f"{out}.cache"}
        if threads is not None:
            environment["OMP_NUM_THREADS"] = str(threads)
        return subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )


@dataclass
class AllRuns:
    """Runs by sampler, and why a sampler has none."""

    runs: Runs
    failures: dict[str, str]


def finish(process: "subprocess.Popen[str]") -> None:
    """Wait; raise `CalledProcessError` with what it told where it failed."""
    _, told = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args, stderr=told)


# ---- what the runs say -------------------------------------------------------------------------------------------


def rows_of(runs: Runs, size: Size) -> list[Row]:
    """Worst and median rate of ours against each peer's, or alone where there is none."""
    mine = [Effective.of(run.probs) for run in runs[OURS]]
    peers = [name for name in runs if name != OURS]
    rows = [row_of(runs, name, mine, which, size) for name in peers for which in ("worst", "median")]
    if peers:
        return rows
    return [
        Row(measure_of(which, size), "", "a second", float(np.median(rates(mine, runs[OURS], which))))
        for which in ("worst", "median")
    ]


def measure_of(which: str, size: Size) -> str:
    """Words for the table."""
    return f"HMC, {size.chains} chains, effective draws, {which} of the held-out probabilities"


def rates(found: Sequence[Effective], runs: Sequence[Finished], which: str) -> list[float]:
    """Effective draws a second of each run."""
    return [getattr(e, which) / run.seconds for e, run in zip(found, runs, strict=True)]


def row_of(runs: Runs, name: str, mine: Sequence[Effective], which: str, size: Size) -> Row:
    """One comparison, and whether it counts."""
    theirs = [Effective.of(run.probs) for run in runs[name]]
    ours, its = rates(mine, runs[OURS], which), rates(theirs, runs[name], which)
    pairs = list(zip(ours, cycle(its), strict=False))
    agreed = agreement(*(np.concatenate([run.probs for run in runs[n]]) for n in (OURS, name)))
    mixed = all(e.mixed for e in (*mine, *theirs))
    note = f"{agreed}; R-hat worst and median: ours {rhats(mine)}, theirs {rhats(theirs)}"
    note += "" if mixed else "; not mixed, so no ratio"
    return Row(
        measure_of(which, size),
        PEERS[name].title,
        "a second",
        float(np.median(ours)),
        float(np.median(its)),
        Ratio.of([a for a, _ in pairs], [max(b, 1e-12) for _, b in pairs]),
        PEERS[name].target,
        lower=False,
        counts=agreed.holds and mixed,
        note=note if which == "worst" else "",
    )


def rhats(found: Sequence[Effective]) -> str:
    """Of the first run."""
    return f"{found[0].rhat_worst:.2f} and {found[0].rhat_median:.2f}"


def figures_of(runs: Runs, size: Size) -> dict[str, float]:
    """Each sampler's seconds and own figures, the median of its runs."""
    return {
        f"{name}_{size.chains}_{figure}": float(np.median([run.figures[figure] for run in found]))
        for name, found in runs.items()
        for figure in found[0].figures
    }


if __name__ == "__main__":
    main(benchmark, __doc__)
