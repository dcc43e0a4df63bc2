"""All benchmarks, one after the other, and their table, of which the README shows some rows.

    python -m experiments.benchmarks [--quick] [--only svi_step,gradient] [--device cuda] [--repeats N] [--out FOLDER]
    python -m experiments.benchmarks --table            # of the results that are there, without running anything

Each benchmark is a process of its own: none slows or feeds another. Results are kept by benchmark in
experiments/results/benchmarks.json (of a GPU: benchmarks-cuda.json; of a quick run: nowhere, unless --out is given), so
that one may be run again alone, and the table beside it as benchmarks.md. Rows of peers that `--without` leaves out
stay as they were, and say so.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from experiments.benchmarks.command import Options, add_options, options_of, refused
from experiments.benchmarks.problem import digits
from experiments.benchmarks.result import markdown, with_earlier
from mtbkd.errors import InputError, nearest

NAMES = ("svi_step", "gradient", "predict", "sgmcmc", "memory", "growth", "hmc")
RESULTS = Path(__file__).parents[1] / "results"

Results = dict[str, dict[str, Any]]


def run_one(name: str, options: Options) -> dict[str, Any]:
    """One benchmark's JSON; what it says on the way is shown. Raises `RuntimeError` where it failed."""
    command = [sys.executable, "-m", f"experiments.benchmarks.{name}", "--json", *options.arguments()]
    print(f"{name} ...", file=sys.stderr, flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"{name} failed (exit code {done.returncode})")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"{name}: {found['seconds']:.0f} s", file=sys.stderr, flush=True)
    return found


def read(path: Path) -> Results:
    """What was kept, by benchmark."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def write(path: Path, results: Results) -> None:
    """Keep results, in the order of the table, and the table beside them."""
    ordered = {name: results[name] for name in NAMES if name in results}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(markdown(list(ordered.values())), encoding="utf-8")


def chosen(only: str | None) -> list[str]:
    """The benchmarks named; raises `InputError` for one that there is not."""
    names = list(NAMES) if only is None else only.split(",")
    for name in names:
        if name not in NAMES:
            raise InputError(f"benchmark '{name}' is unknown; {nearest(name, NAMES)}")
    return names


def path_of(words: argparse.Namespace) -> Path | None:
    """The file of results; None: kept nowhere."""
    if words.out is None and words.quick:
        return None
    kind = "" if words.device == "cpu" else "-cuda"
    return Path(words.out or RESULTS) / f"benchmarks{kind}.json"


def main() -> None:
    parser = argparse.ArgumentParser(description="all benchmarks and their table")
    add_options(parser)
    parser.add_argument("--only", help="names, with commas: " + ",".join(NAMES))
    parser.add_argument("--out", help="folder of benchmarks.json and benchmarks.md")
    parser.add_argument("--table", action="store_true", help="print the table of what was kept")
    words = parser.parse_args()
    path = path_of(words)
    try:
        names = chosen(words.only)
    except InputError as error:
        sys.exit(refused(error))
    if words.table:
        print(markdown(list(read(path or RESULTS / "benchmarks.json").values())), end="")
        return
    sys.exit(run_all(names, options_of(words), path))


def run_all(names: list[str], options: Options, path: Path | None) -> int:
    """Run these, keep what each found as soon as it is found, print the table; 1 where one failed."""
    results = {} if path is None else read(path)
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        options = with_problem(options, names, Path(folder))
        for name in names:
            try:
                results[name] = with_earlier(run_one(name, options), results.get(name, {}))
            except RuntimeError as error:
                failed.append(name)
                print(error, file=sys.stderr, flush=True)
                continue
            if path is not None:
                write(path, results)
    print(markdown([results[name] for name in NAMES if name in results]), end="")
    return int(bool(failed))


def with_problem(options: Options, names: list[str], folder: Path) -> Options:
    """The same options with the digits made once for all; quick runs make something smaller themselves."""
    if options.quick or options.problem or not {"svi_step", "gradient", "sgmcmc", "hmc"} & set(names):
        return options
    path = folder / "digits.npz"
    digits().save(path)
    return Options(**(vars(options) | {"problem": str(path)}))


if __name__ == "__main__":
    main()
