"""Words of the command line: the command that continues a run, and the folder a sweep gives each of its runs."""

import hashlib
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import ListConfig, OmegaConf

from mtbkd.configuration import incidental

# What Hydra was told about where and how to run is no part of the command that continues one run.
OF_THE_LAUNCH = re.compile(
    r"\+*hydra(\.mode|\.run\.dir|\.sweep|\.job\.config|\.callbacks\.launch|[/.]launcher|[/.]sweeper)\b"
)
# A sweep keeps its launcher and sweeper.
OF_THE_PLACE = re.compile(r"\+*hydra(\.mode|\.run\.dir|\.sweep\.dir|\.job\.config)\b")
LONGEST = 150


def continuing(hydra: Any, folder: Path) -> str:
    """The command that goes on with this run, for a shell.

    hydra: Hydra's own configuration; folder: the run's
    """
    kept = [word for word in as_given(hydra.overrides.hydra) if not OF_THE_LAUNCH.match(word)]
    return _command(hydra, [], [*as_given(hydra.overrides.task), *kept], "hydra.run.dir", folder)


def continuing_sweep(hydra: Any, folder: Path) -> str:
    """The command that goes on with this sweep, for a shell."""
    kept = [word for word in as_given(hydra.overrides.hydra) if not OF_THE_PLACE.match(word)]
    return _command(hydra, ["-m"], [*as_given(hydra.overrides.task), *kept], "hydra.sweep.dir", folder)


def as_given(overrides: Any) -> list[str]:
    """Overrides as they were written: an interpolation in one is not resolved."""
    words = (
        OmegaConf.to_container(overrides, resolve=False) if isinstance(overrides, ListConfig) else overrides
    )
    return [str(word) for word in words]  # type: ignore[union-attr]


def _command(hydra: Any, flags: list[str], overrides: Sequence[str], key: str, folder: Path) -> str:
    name = hydra.job.config_name
    flags = [*flags, *(["--config-name", name] if name != "config" else [])]
    for source in hydra.runtime.config_sources:
        if source.provider == "command-line":
            flags += ["--config-dir", source.path]
    # fresh=true starts over: to go on it must not be said again.
    kept = [word for word in overrides if not word.startswith("fresh=")]
    return " ".join(map(for_shell, ["mtbkd", *flags, *kept, f"{key}={quoted(str(folder))}"]))


def for_shell(word: str) -> str:
    """A word as a shell reads it back; one with Hydra's quotes in it stays readable."""
    if "'" in word and not set('"$`\\!') & set(word):
        return f'"{word}"'
    return shlex.quote(word)


def quoted(value: str) -> str:
    """A text as Hydra's grammar reads it back: in quotes where it has characters that mean something."""
    if re.fullmatch(r"[A-Za-z0-9_./+@%-]+", value):
        return value
    # Backslashes count only before a quote.
    escaped = re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), value)
    return f"'{escaped}'"


def constant_keys(overrides: Sequence[str]) -> list[str]:
    """Keys that are the same in all runs of a sweep, by the sweep's overrides; none where nothing is swept."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_overrides(as_given(overrides))
    if not any(override.is_sweep_override() for override in parsed):
        return []
    return [override.key_or_group for override in parsed if not override.is_sweep_override()]


def run_name(overrides: Sequence[str], constant: Sequence[str] = ()) -> str:
    """The folder of one run of a sweep, named by its overrides.

    constant: keys that no run's name needs
    Paths are told by their last part, and what no folder can be called is replaced; then a hash keeps names apart.
    """
    unnamed = as_given(constant)
    keys = {word: word.partition("=")[0].lstrip("+~") for word in as_given(overrides)}
    kept = sorted(word for word, key in keys.items() if key not in unnamed and not incidental(key))
    if not kept:
        return "defaults"
    full = ",".join(kept)
    told = ",".join(re.sub(r"=.*/", "=", word) for word in kept)
    told = re.sub(r"[^\w.,=+~\[\]-]", "_", told)[:LONGEST]
    if told == full:
        return full
    return f"{told}-{hashlib.sha256(full.encode()).hexdigest()[:8]}"
