"""What a page of README or docs shows: its Python, its files and its commands, and whether a command is one."""

import importlib.util
import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, open_dict

from mtbkd.cli import conf_folder
from mtbkd.comparison.command import parser as comparison_options
from mtbkd.configuration import resolve

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

BLOCK = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.M | re.S)
TITLE = re.compile(r'title="([^"]+)"')
SHELL = ("sh", "bash", "shell", "console")
COMMAND = re.compile(r"^(?:\$ )?((?:mtbkd|mtbkd-compare|python -m|make)(?: .*)?)$")


@dataclass(frozen=True)
class Block:
    """Code between fences. title: the file that it is, "" for code to run where one reads it."""

    language: str
    title: str
    code: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order, those in comments too: a page's preparations that no reader needs."""
    found = BLOCK.findall(page.read_text())
    return [Block(language, "".join(TITLE.findall(rest)), code) for language, rest, code in found]


def python_of(page: Path) -> list[str]:
    """The code that a reader of the page would run, in order."""
    return [block.code for block in blocks(page) if block.language == "python" and not block.title]


def run_python(page: Path) -> dict[str, object]:
    """Run a page's Python in the current folder, one block after the other; the names that it leaves."""
    names: dict[str, object] = {"__name__": "page"}
    for number, code in enumerate(python_of(page)):
        exec(compile(code, f"{page.name}, block {number}", "exec"), names)
    return names


def commands_of(page: Path) -> list[str]:
    """The shell commands in a page's indented and shell blocks, without their comments."""
    text = page.read_text()
    indented = [line[4:] for line in BLOCK.sub("", text).splitlines() if line.startswith("    ")]
    fenced = [block.code.replace("\\\n", " ") for block in blocks(page) if block.language in SHELL]
    lines = itertools.chain(indented, *(code.splitlines() for code in fenced))
    found = [COMMAND.match(line.strip()) for line in lines]
    return [match.group(1) for match in found if match]


def check_command(command: str) -> None:
    """Raise where Hydra would not compose the command's words, or there is no such module, option or target."""
    words = shlex.split(command, comments=True)
    if words[0] == "mtbkd":
        for overrides in runs_of(words[1:]):
            composed(overrides)
    elif words[0] == "mtbkd-compare":
        assert comparison_options().parse_args(words[1:]).folders
    elif words[0] == "make":
        targets = [word for word in words[1:] if "=" not in word]
        for target in targets:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M), (
                f"make has no target {target}"
            )
    else:
        check_module(words[2], words[3:])


def check_module(name: str, words: list[str]) -> None:
    """Raise where there is no module, or its code names no such option."""
    spec = importlib.util.find_spec(name)
    assert spec is not None, f"there is no module {name}"
    assert spec.origin is not None, f"{name} has no code"
    origin = Path(spec.origin)
    files = origin.parent.glob("*.py")
    code = "".join(path.read_text() for path in files)
    for word in words:
        assert not word.startswith("--") or f'"{word}"' in code, f"{name} has no option {word}"


def runs_of(words: list[str]) -> Iterator[list[str]]:
    """The overrides of the runs that the words ask for: each value of a sweep is in one of them."""
    told = [word for word in words if not word.startswith("-")]
    values = [
        [f"{o.get_key_element()}={v}" for v in choices(o)]
        for o in OverridesParser.create().parse_overrides(told)
    ]
    for row in itertools.zip_longest(*values):
        yield [one or every[0] for one, every in zip(row, values, strict=True)]


def choices(override: Override) -> list[str]:
    """What an override sets its key to, in the command's words."""
    if not override.is_sweep_override():
        return [(override.input_line or "").split("=", 1)[1]]
    if override.is_choice_sweep() or override.is_range_sweep():
        return [str(value) for value in override.sweep_string_iterator()]
    if override.is_interval_sweep():  # of which a search draws
        return [str(override.value().start)]
    return []


def composed(overrides: list[str]) -> DictConfig:
    """What the command composes, Hydra's own settings too; each choice and setting is known, each value of its type."""
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        config = compose("config", overrides=overrides, return_hydra_config=True)
    with open_dict(config):
        del config["hydra"]
    resolve(config)
    return config
