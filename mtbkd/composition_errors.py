"""What Hydra refuses, told in one line with the nearest valid word."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtbkd.errors import nearest

# What brings choices of Hydra's own groups that are not there.
BROUGHT_BY = {
    "joblib": 'pip install "mtbkd[launchers]"',
    "submitit_local": 'pip install "mtbkd[launchers]"',
    "submitit_slurm": 'pip install "mtbkd[launchers]"',
    "optuna": 'pip install "mtbkd[launchers]"',
    "ray": "pip install --no-deps hydra-ray-launcher",
}


def explain(error: Exception, conf: Path, words: Sequence[str]) -> str:
    """One line for people about an error of composition.

    conf: the folder of configuration files; words: the command's, for what would have been valid with its choices
    """
    from hydra.errors import MissingConfigException, OverrideParseException

    text = str(error).strip() or type(error).__name__
    first = text.splitlines()[0]
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        if group.startswith("hydra/") and choice in BROUGHT_BY:
            return f"{group}={choice}: not installed; {BROUGHT_BY[choice]}"
        return f"{group}={choice}: unknown choice; {nearest(choice, error.options)}"
    if isinstance(error, OverrideParseException):
        if "missing EQUAL" in text:
            return f"{error.override}: not a setting; write KEY=VALUE, as in seed=1"
        return (
            f"{error.override}: cannot be read; close each bracket and quote, and put a value with special "
            "characters in quotes, as in \"data.path='a b.csv'\""
        )
    if unknown := re.search(r"Could not override '([^']+)'", text):
        return unknown_key(unknown[1], conf, words)
    if ambiguous := re.search(r"Ambiguous value for argument '(.*)'", first):
        return f"{ambiguous[1]}: several values; add -m to sweep over them, or write a list as [a,b]"
    if "Config group override must be" in text:
        return "a group was given no name; choose one by GROUP=NAME, as in prior=dirichlet_mixture"
    return first


def unknown_key(key: str, conf: Path, words: Sequence[str]) -> str:
    """What to say of a key that no file has: the nearest one with the command's choices of groups."""
    group, _, rest = key.partition(".")
    if group == "hydra":
        return f"{key}: unknown key of Hydra; mtbkd --hydra-help tells of it"
    whole = composed(conf, words)
    inner = whole.get(group)
    if not rest or not isinstance(inner, Mapping):
        return f"{key}: unknown key; {nearest(key, {*whole, *groups(conf)})}"
    names = [f"{group}.{name}" for name in keys_below(inner)]
    if key in names:  # a mapping that is there: Hydra wants new entries announced
        return f"{key}: entries are added with a plus sign, as in +{key}={{entry:value}}"
    told = nearest(key, names)
    more = (
        "; a further teacher is added by +teachers.members.NAME={kind:KIND,...}"
        if group == "teachers"
        else ""
    )
    return f"{key}: unknown key of {group}={inner.get('name')}; {told}{more}"


def composed(conf: Path, words: Sequence[str]) -> Mapping[str, Any]:
    """The composition with the single choices of groups among the command's words, as plain data."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    choices = [word for word in words if re.fullmatch(rf"({'|'.join(groups(conf))})=\w+", word)]
    with initialize_config_dir(str(conf), version_base="1.3"):
        whole = OmegaConf.to_container(compose("config", choices), throw_on_missing=False)
    assert isinstance(whole, dict)
    return {str(key): value for key, value in whole.items()}


def groups(conf: Path) -> list[str]:
    """The configuration groups."""
    return sorted(path.name for path in conf.iterdir() if path.is_dir())


def keys_below(config: Mapping[Any, Any], prefix: str = "") -> list[str]:
    """Dotted keys of nested mappings, inner ones included."""
    found: list[str] = []
    for key, value in config.items():
        found.append(f"{prefix}{key}")
        if isinstance(value, Mapping):
            found += keys_below(value, f"{prefix}{key}.")
    return found
