"""What Hydra tells before it makes a folder, and after a sweep's last run; conf/config.yaml names it as a callback."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback
from omegaconf import OmegaConf, read_write

from mtbkd import sweep
from mtbkd.command import constant_keys, continuing_sweep, quoted
from mtbkd.launching import number_of_runs, prepare, swept_words
from mtbkd.search import found, quieten, searches
from mtbkd.tracking.chosen import tracker_of
from mtbkd.tracking.password import masked

if TYPE_CHECKING:
    from omegaconf import DictConfig


class Launch(Callback):
    """What Hydra tells before it makes a folder.

    new_folders: those on the way to the run's or sweep's that are not there yet, the innermost first
    sweep: a sweep's folder
    """

    new_folders: tuple[Path, ...] = ()
    sweep: Path | None = None

    def __init__(self, runs: int | None = None) -> None:
        """runs: of the sweep, in all, as its runs are told by `on_multirun_start`"""

    def on_run_start(self, config: "DictConfig", **kwargs: Any) -> None:
        Launch.new_folders = missing_folders(Path(os.path.abspath(config.hydra.run.dir)))

    def on_multirun_start(self, config: "DictConfig", **kwargs: Any) -> None:
        Launch.sweep = Path(os.path.abspath(config.hydra.sweep.dir))
        Launch.new_folders = missing_folders(Launch.sweep)
        sweep.clear(Launch.sweep)
        # Hydra keeps a sweep's configuration before its runs refuse such an address.
        told: Any = OmegaConf.to_container(config.tracking)  # what is interpolated stays so
        if isinstance(uri := told.get("uri"), str) and masked(uri) != uri:
            with read_write(config):
                config.tracking.uri = masked(uri)
        print(continuing_sweep(config.hydra, Launch.sweep), flush=True)
        prepare(config.hydra.launcher)
        quieten(config.hydra)
        # Each run is composed anew, from what Hydra was told: by this it knows what its name need not say, how many
        # others there are, and, wherever it runs, the sweep's folder.
        told, words = config.hydra.overrides, swept_words(config.hydra)
        constant = ",".join(map(quoted, constant_keys(words)))
        with read_write(told):
            told.hydra.append(f"hydra.job.config.override_dirname.exclude_keys=[{constant}]")
            told.hydra.append(f"hydra.callbacks.launch.runs={number_of_runs(words) or 'null'}")
            told.hydra.append(f"hydra.sweep.dir={quoted(str(Launch.sweep))}")

    def on_multirun_end(self, config: "DictConfig", **kwargs: Any) -> None:
        if Launch.sweep is None or all(run.state != "finished" for run in sweep.outcomes(Launch.sweep)):
            return
        if searches(config.hydra):
            print(*found(Launch.sweep, config.objective), sep="\n")
        if where := tracker_of(config, Launch.sweep).where:
            print(where)


def missing_folders(folder: Path) -> tuple[Path, ...]:
    """The folder and those above it that are not there, from the inside out."""
    return tuple(path for path in (folder, *folder.parents) if not path.exists())


def remove_empty(folders: tuple[Path, ...]) -> None:
    """Remove the folders, given from the inside out, as far as they are empty."""
    for folder in folders:
        if not folder.is_dir() or any(folder.iterdir()):
            return
        folder.rmdir()
