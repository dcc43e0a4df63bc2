"""The command line that all benchmarks share, and what they tell of the machine."""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

import torch

from experiments.benchmarks.result import Result, markdown
from mtbkd.errors import InputError
from mtbkd.fitting import pick_device
from mtbkd.threads import available_cores

PACKAGES = ("torch", "pyro-ppl", "numpyro", "jax", "blackjax", "posteriors", "mtbkd")


@dataclass(frozen=True)
class Options:
    """quick: seconds instead of minutes, figures mean nothing; repeats: rounds of turns; device: cpu, cuda
    problem: file of the digits posterior, None: made by the pipeline; draws, warmup, chains: of the HMC runs, None:
    the benchmark's own; keep: folder of finished HMC runs, which are not done again, None: kept nowhere; without: its
    peers that are left out, names with commas."""

    quick: bool = False
    repeats: int | None = None
    device: str = "cpu"
    problem: str | None = None
    draws: int | None = None
    warmup: int | None = None
    chains: int | None = None
    keep: str | None = None
    without: str | None = None

    @property
    def rounds(self) -> int:
        """Rounds of turns: seven, or two in a quick run."""
        return self.repeats or (2 if self.quick else 7)

    @property
    def seconds(self) -> float:
        """Seconds of one turn."""
        return 0.02 if self.quick else 1.0

    @property
    def torch_device(self) -> torch.device:
        """Where torch runs; raises `InputError` where there is no such device."""
        return pick_device(self.device)

    def arguments(self) -> list[str]:
        """The same options as words of a command."""
        given = {
            name: getattr(self, name)
            for name in ("repeats", "device", "problem", "draws", "warmup", "chains", "keep", "without")
            if getattr(self, name) is not None
        }
        return ["--quick"] * self.quick + [f"--{name}={value}" for name, value in given.items()]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Words that every benchmark takes."""
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes: does it run? the figures mean nothing"
    )
    parser.add_argument("--repeats", type=int, help="rounds of turns (default 7; hmc 3)")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:N")
    parser.add_argument(
        "--problem", help="npz of the digits posterior (python -m experiments.benchmarks.problem)"
    )
    for name in ("draws", "warmup", "chains"):
        parser.add_argument(f"--{name}", type=int, help="of the hmc benchmark")
    parser.add_argument("--without", help="peers that the hmc benchmark leaves out, names with commas: pyro")
    parser.add_argument(
        "--keep", help="folder of the hmc benchmark's finished runs: stopped, it goes on there"
    )


def options_of(words: argparse.Namespace) -> Options:
    """The options among a command's words."""
    return Options(**{name: getattr(words, name) for name in Options.__dataclass_fields__})


def machine(device: str) -> dict[str, object]:
    """What the figures depend on besides the code."""
    found = {"device": device, "cores": available_cores(), "processor": platform.machine()}
    if torch.device(device).type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(torch.device(device))
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found | {
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": versions,
    }


def main(benchmark: Callable[[Options], Result], description: str | None) -> None:
    """Run one benchmark as a command: its table, or with --json one line of JSON last; exit code 2 for bad input."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    add_options(parser)
    parser.add_argument("--json", action="store_true", help="one line of JSON, the last of stdout")
    words = parser.parse_args()
    options = options_of(words)
    began = time.perf_counter()
    try:
        content = benchmark(options).to_json() | {"machine": machine(options.device), "quick": options.quick}
    except InputError as error:
        sys.exit(refused(error))
    content |= {"seconds": round(time.perf_counter() - began, 1)}
    print(json.dumps(content) if words.json else markdown([content]), flush=True)


def refused(error: InputError) -> int:
    """Tell bad input; the exit code."""
    print(f"error: {error}", file=sys.stderr)
    return 2
