"""The command line: Hydra composes, `job` does one run, `main` decides the exit code.

    0 done, 2 bad input, 1 anything else

A job never raises or exits, because in Hydra one that does ends a whole sweep: it says how it ended and returns.
"""

import json
import os
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from omegaconf import OmegaConf

from mtbkd import __version__, sweep
from mtbkd.command import continuing, run_name
from mtbkd.errors import InputError
from mtbkd.hydra_events import Launch, remove_empty
from mtbkd.launching import parallel_runs
from mtbkd.objective import reached
from mtbkd.search import asked_for, searches
from mtbkd.sweep import Outcome, Result
from mtbkd.tracking.chosen import tracker_of
from mtbkd.tracking.password import masked, require_no_password

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mtbkd.run_directory import RunDirectory

# Bars are for stages that take longer, in seconds.
PATIENCE = 2.0
# How the single run of this process ended; a sweep's runs tell by files, since they may be other processes'.
OUTCOMES: list[Outcome] = []

# In conf/config.yaml: ${run_name:...}, the folder of a sweep's run.
OmegaConf.register_new_resolver("run_name", run_name, replace=True)


def conf_folder() -> Path:
    """The configuration files: inside the installed package, or beside it in a checkout."""
    here = Path(__file__).resolve().parent
    return here / "conf" if (here / "conf").is_dir() else here.parent / "conf"


def job(config: "DictConfig") -> float | list[float] | None:
    """One run, whatever happens in it; gives a sweeper what it reached, None where it is not finished.

    None and not NaN, with which the Optuna sweeper would stop.
    """
    from hydra.core.hydra_config import HydraConfig

    from mtbkd.run_directory import RunDirectory

    hydra: Any = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    directory = RunDirectory(folder, documents_of(config, hydra), patient=searches(hydra))
    in_sweep = hydra.mode.name == "MULTIRUN"
    command = continuing(hydra, directory.path)
    name = os.path.relpath(directory.path, hydra.sweep.dir) if in_sweep else ""
    state: Result = "finished"
    error = ""
    value: float | list[float] | None = None
    began, started = time.perf_counter(), time.time()
    try:
        value = work(config, directory, command, hydra)
    except InputError as bad:
        state, error = "bad input", " ".join(str(bad).split())
        print(f"mtbkd: {name + ': ' * in_sweep}{error}", file=sys.stderr)
    except Exception as failure:  # told, kept by the run, and turned into an exit code by main()
        state, error = "failed", f"{type(failure).__name__}: {failure}"
        told_in = directory.path / "run.log"
        if not told_in.exists():
            traceback.print_exc()
        first = error.splitlines()[0]
        print(f"mtbkd: failed: {first}\n  traceback: {told_in}\n  go on with: {command}", file=sys.stderr)
    before = state == "finished" and (directory.record or {}).get("ended", 0.0) < started
    settings: Any = OmegaConf.to_container(config)
    outcome = Outcome(name, state, settings, error, command, before)
    if in_sweep:
        spent = "before" if before else f"{time.perf_counter() - began:.0f} s"
        print(f"{name}: {state}, {spent}", flush=True)
        sweep.note(Path(hydra.sweep.dir), hydra.job.num, outcome)
        remove_empty((directory.path,))
    else:
        OUTCOMES.append(outcome)
        remove_empty(Launch.new_folders)
    return value


def work(
    config: "DictConfig", directory: "RunDirectory", command: str, hydra: Any
) -> float | list[float] | None:
    """Check the configuration and do the run, with what a user sees of it; gives what a sweeper asks for."""
    from mtbkd.configuration import resolve
    from mtbkd.pipeline import run
    from mtbkd.progress import Progress, TerminalProgress
    from mtbkd.threads import set_threads

    in_sweep, parallel = hydra.mode.name == "MULTIRUN", parallel_runs(hydra)
    resolved = resolve(config)
    objective = asked_for(hydra, resolved.settings.objective)
    state = directory.state(resolved)
    shared = Path(hydra.sweep.dir) if in_sweep else directory.path
    tracker = tracker_of(config, shared)
    if not in_sweep:
        print(command, flush=True)
        if state == "finished":
            print("finished before; fresh=true does it again")
    set_threads(resolved.settings.threads, parallel)
    # Bars of runs at the same time would overwrite one another.
    progress = Progress() if parallel > 1 else TerminalProgress(PATIENCE)
    run(resolved, directory, command, progress, objective)
    try:
        tracker.log(directory.path)
    except Exception as failure:  # the run is finished all the same, and can be told of later
        told = masked(str(failure).splitlines()[0]) if str(failure) else ""
        print(
            f"mtbkd: the run is finished, but not tracked ({type(failure).__name__}: {told}); the same command "
            "does what is left",
            file=sys.stderr,
        )
    if not in_sweep:
        if tracker.where:
            print(tracker.where)
        show(directory.path)
    if not objective:
        return None
    try:
        return reached(directory.path, objective)
    except InputError as nothing:  # the search goes on with the other runs
        print(f"mtbkd: {nothing}", file=sys.stderr)
        return None


def show(folder: Path) -> None:
    """A finished run's table of models and the path of its report, or of its figures where it has none, to stdout."""
    from rich.console import Console
    from rich.measure import Measurement

    from mtbkd.report.tables import terminal_table

    console = Console()
    table = terminal_table(json.loads((folder / "metrics.json").read_text()))
    # A narrow terminal folds lines; rich would cut numbers and names.
    wide = Measurement.get(console, console.options.update(max_width=1000), table).maximum
    console.width = max(console.width, wide)
    console.print(table)
    report = folder / "report.html"
    print(f"report: {report}" if report.exists() else f"no report; figures: {folder / 'metrics.json'}")


def documents_of(config: "DictConfig", hydra: Any) -> dict[str, str]:
    """What Hydra would keep of a run, and before any check: `hydra.output_subdir` is null, we write it."""
    return {
        ".hydra/config.yaml": OmegaConf.to_yaml(config),
        ".hydra/hydra.yaml": OmegaConf.to_yaml({"hydra": hydra}),
        ".hydra/overrides.yaml": OmegaConf.to_yaml(hydra.overrides.task),
    }


def end_sweep(folder: Path) -> int:
    """Compare the sweep's runs, tell of them, and give its exit code."""
    from mtbkd.comparison.comparison import comparison_of
    from mtbkd.comparison.files import write_files
    from mtbkd.comparison.runs import read_runs
    from mtbkd.comparison.terminal import summary

    told = sweep.outcomes(folder)
    try:
        runs = read_runs([folder])
    except InputError:  # not one run began
        return 1
    compared = comparison_of(runs)
    written = write_files(compared, folder, [folder])
    counts = ", ".join(f"{count} {state}" for state, count in Counter(run.state for run in runs).items())
    before = sum(outcome.before for outcome in told)
    known = f" ({before} of them before; fresh=true does them again)" if before else ""
    print(f"\n{summary(compared)}\n\n{len(runs)} runs: {counts}{known}\ncomparison: {written[0]}")
    return sweep.exit_code([outcome.state for outcome in told])


def refuse(message: str) -> NoReturn:
    """Tell of bad input in one line, and exit."""
    print(f"mtbkd: {message}", file=sys.stderr)
    sys.exit(2)


def main() -> NoReturn:
    """Entry point of the `mtbkd` command."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from mtbkd.composition_errors import explain

    if sys.argv[1:] == ["--version"]:
        print(f"mtbkd {__version__}")
        sys.exit(0)
    OUTCOMES.clear()
    Launch.new_folders, Launch.sweep = (), None
    crashed = False
    try:
        compose_and_run()
    except KeyboardInterrupt:
        print("mtbkd: stopped; the same command in the same folder goes on", file=sys.stderr)
        sys.exit(1)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        # Jobs raise nothing, so this is about the command's own words, or of a search in which no run was finished.
        if Launch.sweep is not None and sweep.outcomes(Launch.sweep):
            print(f"mtbkd: the search ended ({error})", file=sys.stderr)
            sys.exit(end_sweep(Launch.sweep) or 1)
        if Launch.sweep is not None and Launch.new_folders:
            (Launch.sweep / "multirun.yaml").unlink(missing_ok=True)
            remove_empty(Launch.new_folders)
        refuse(explain(error, conf_folder(), sys.argv[1:]))
    except (
        BrokenPipeError
    ):  # who read our words has gone; Python would complain once more when it closes stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        refuse(f"cannot use '{error.filename}' for the run ({error.strerror}); choose another hydra.run.dir")
    except Exception:  # a parallel run's process died: what the others did is still compared
        if Launch.sweep is None:
            raise
        traceback.print_exc()
        crashed = True
    if Launch.sweep is None:
        sys.exit(sweep.exit_code([outcome.state for outcome in OUTCOMES]))
    code = end_sweep(Launch.sweep)
    sys.exit(1 if crashed else code)


def compose_and_run() -> None:
    """Hand over to Hydra, whose errors are raised here rather than printed; a password is refused before that."""
    import hydra

    # Hydra keeps a sweep's words before any of its runs is checked.
    for word in sys.argv[1:]:
        key, _, value = word.lstrip("+").partition("=")
        if key == "tracking.uri":
            require_no_password(key, value)
    os.environ["HYDRA_FULL_ERROR"] = "1"
    hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="config")(job)()
