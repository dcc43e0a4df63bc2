"""The command line: Hydra composes, `run` does one job, `main` decides the exit code.

    0 done, 2 bad input, 1 anything else

A job never raises or exits, because in Hydra one that does ends a whole sweep: it writes its error into its folder
and returns, and the folders tell main() what happened.
"""

import logging
import os
import shlex
import sys
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback

from mtbkd.errors import InputError, nearest

if TYPE_CHECKING:
    from omegaconf import DictConfig

OUTCOMES: list[str] = []
log = logging.getLogger("mtbkd")


def conf_folder() -> Path:
    """The configuration files: inside the installed package, or beside it in a checkout."""
    here = Path(__file__).resolve().parent
    return here / "conf" if (here / "conf").is_dir() else here.parent / "conf"


class Comparison(Callback):
    """Hydra's callback: after a sweep, compare its runs."""

    def on_multirun_end(self, config: "DictConfig", **kwargs: Any) -> None:
        from mtbkd.comparison import compare

        folder = Path(config.hydra.sweep.dir)
        table = compare([folder])
        OUTCOMES.extend(table["state"])
        table.to_csv(folder / "comparison.csv", index=False)
        print(f"\ncomparison of {len(table)} runs: {folder / 'comparison.csv'}")


def job(config: "DictConfig") -> None:
    """One run, whatever happens in it."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    from mtbkd.configuration import resolve
    from mtbkd.pipeline import run
    from mtbkd.run_directory import RunDirectory

    hydra = HydraConfig.get()
    directory = RunDirectory(Path(hydra.runtime.output_dir))
    overrides = [o for o in hydra.overrides.task if not o.startswith("hydra.")]
    command = shlex.join(["mtbkd", *overrides, f"hydra.run.dir={directory.path}"])
    warnings.simplefilter("once")
    plain: dict[str, Any] = {}
    try:
        resolved = resolve(config)
        plain = resolved.resolved
        set_threads(resolved.settings.threads, parallel_jobs(hydra))
        outcome = run(resolved, directory, command)
    except InputError as error:
        outcome = "bad input"
        print(f"mtbkd: {error}", file=sys.stderr)
        directory.fail(plain or as_plain(OmegaConf.to_container(config)), command, outcome, str(error))
    except Exception as error:  # recorded, told, and turned into exit code 1 by main()
        outcome = "failed"
        traceback.print_exc()
        directory.fail(plain, command, outcome, f"{type(error).__name__}: {error}")
        print(f"mtbkd: failed; what is fitted so far is kept. Go on with:\n  {command}", file=sys.stderr)
    OUTCOMES.append(outcome)


def as_plain(config: Any) -> dict[str, Any]:
    return {str(key): value for key, value in config.items()}


def parallel_jobs(hydra: Any) -> int:
    """How many jobs of this sweep run at once on this machine."""
    if (
        hydra.mode is None
        or hydra.mode.name != "MULTIRUN"
        or "joblib" not in str(hydra.launcher.get("_target_"))
    ):
        return 1
    jobs = int(hydra.launcher.get("n_jobs") or 1)
    return jobs if jobs > 0 else os.cpu_count() or 1


def set_threads(threads: str, jobs: int) -> None:
    """Torch's threads: as told; or what OMP_NUM_THREADS says; or the cores shared among parallel jobs."""
    import torch

    if threads != "auto":
        torch.set_num_threads(int(threads))
    elif "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, available_cores() // jobs))


def available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def explain(error: Exception) -> str:
    """Hydra's composition errors in one line, with the nearest valid word."""
    import re

    text = str(error)
    first = text.strip().splitlines()[0] if text.strip() else type(error).__name__
    missing = re.search(r"Could not find '([^/']+)/([^']+)'", text)
    if missing:
        group, choice = missing.groups()
        folder = conf_folder() / group
        options = [path.stem for path in folder.glob("*.yaml")]
        if options:
            return f"{group}={choice}: unknown choice; {nearest(choice, options)}"
    override = re.search(r"Could not override '([^']+)'", text)
    if override:
        key = override.group(1)
        return f"{key}: unknown key; {nearest_key(key)}"
    group_missing = re.search(
        r"In '[^']*': Could not find '([^']+)'|No match in the defaults list. *for '([^']+)'", text
    )
    if group_missing or "Could not override" in text:
        return first
    return first


def nearest_key(key: str) -> str:
    """The valid setting nearest to a dotted key, in the default composition."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        whole = OmegaConf.to_container(compose("config"), throw_on_missing=False)
    group, _, rest = key.partition(".")
    assert isinstance(whole, dict)
    if rest and group in whole and isinstance(whole[group], dict):
        names = [f"{group}.{name}" for name in whole[group]]
        return nearest(key, names)
    return nearest(key, [str(name) for name in whole])


def main() -> None:
    """Entry point of the `mtbkd` command."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="config")(job)()
    except (HydraException, OmegaConfBaseException) as error:
        print(f"mtbkd: {explain(error)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("mtbkd: stopped; the same command in the same folder goes on", file=sys.stderr)
        sys.exit(1)
    if "bad input" in OUTCOMES:
        sys.exit(2 if len(set(OUTCOMES)) == 1 else 1)
    sys.exit(0 if all(outcome == "finished" for outcome in OUTCOMES) else 1)


if __name__ == "__main__":
    main()
