"""The configuration reference, one page a group, written from conf/ when the site is built."""

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

CONF = Path(__file__).resolve().parent.parent / "conf"
FOLDER = "reference/configuration"
NAV_TITLE = "Configuration"

# What a group decides, in the order in which a run needs it.
GROUPS = {
    "data": "Where inputs and labels come from, and how the rows are split.",
    "augmentation": "More inputs for the teachers to label, made before they are asked.",
    "teachers": "Who is heard: a set of teachers, each of a kind with its own fields.",
    "temperature": "How much each teacher's answers are softened before they are heard.",
    "weighting": "How much each teacher counts at each input.",
    "prior": "How the weighted teachers become one factor of the student's prior.",
    "features": "Whether layers of the student are drawn towards layers of torch teachers.",
    "student": "The network, and the prior on its weights.",
    "baseline": "Which simpler students are fitted beside the Bayesian one.",
    "inference": "The engine that computes the posterior.",
    "report": "What is drawn at the end.",
    "tracking": "Where else a run's results are listed.",
    "experiment": "Published methods and studies whole: choices of other groups, and their settings.",
}

BAR = "\\|"  # a bar in a table's cell

NOTHING = "Nothing to set."
SETTING = re.compile(r"^(\w+):\s*(.*?)(?:\s+#\s(.*)|\s*#\s(.*))?$")


def choices(group: str) -> list[Path]:
    """The YAML files of a group, those in its folders after its own."""
    files = sorted((CONF / group).rglob("*.yaml"))
    return sorted(files, key=lambda path: (len(path.parts), path.stem))


def first_sentence(group: str, name: str) -> str:
    """The first line of the method's own code, where the YAML is a method's."""
    from mtbkd import registry

    if group not in registry.PACKAGES or name not in registry.names(group):
        return ""
    module = importlib.import_module(f"{registry.PACKAGES[group]}.{name}")
    return (inspect.getdoc(module) or "").split("\n\n")[0].replace("\n", " ")


def settings_table(text: str) -> str:
    """A table of a YAML whose keys are all on its first level: setting, default, what it is. "" for other YAMLs."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    found = [SETTING.match(line) for line in lines]
    if not all(found) or any(match and not match.group(2) for match in found):
        return ""
    rows = []
    for match in found:
        assert match is not None
        key, value, meaning = match.group(1), match.group(2), match.group(3) or match.group(4) or ""
        if key not in ("name", "defaults"):
            rows.append(f"| `{key}` | `{value.replace('|', BAR)}` | {written_out(meaning)} |")
    return "\n".join(["| setting | default | what it is |", "|---|---|---|", *rows]) if rows else NOTHING


def written_out(text: str) -> str:
    """Text in which what looks like markup is not."""
    return re.sub(r"([|<>*_`{}\[\]$\\])", r"\\\1", text)


def says(group: str, name: str, text: str) -> str:
    """What a choice is: the comment above its first key or beside its name, or the first line of the method's code."""
    above = [line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#")]
    beside = re.match(r"name: \w+\s+# (.*)", text)
    based_on = re.search(r"^defaults: \[(\w+), _self_\]", text, re.M)
    if beside:
        return written_out(beside.group(1)[0].upper() + beside.group(1)[1:]) + "."
    if based_on:
        return f"Named settings of `{based_on.group(1)}`." + (
            "\n\n" + written_out(" ".join(above)) if above else ""
        )
    return written_out(first_sentence(group, name))


def group_page(group: str) -> str:
    """Markdown of a group's page."""
    parts = [f"# {group}", GROUPS[group]]
    for path in choices(group):
        name = path.relative_to(CONF / group).with_suffix("").as_posix()
        text = path.read_text()
        parts += [
            f"## {name}",
            f"`{group}={name}`" if "/" not in name else "Taken with the experiment of its name.",
        ]
        table = settings_table(text)
        parts.append(says(group, name, text) if table else first_sentence(group, name))
        if table == NOTHING and "nothing to choose" in text:
            continue
        parts.append(table or f"```yaml\n{text.rstrip()}\n```")
    return "\n\n".join(part for part in parts if part) + "\n"


def overview_page() -> str:
    """Markdown of the page that lists the groups and shows the settings of no group."""
    rows = [f"| [{group}]({group}.md) | {said} | {names(group)} |" for group, said in GROUPS.items()]
    top = (CONF / "config.yaml").read_text().split("\nhydra:")[0].split("\nseed:")[1]
    return "\n".join(
        [
            "# Configuration",
            "",
            "Each group is chosen by `GROUP=NAME`, each setting of the choice set by `GROUP.KEY=VALUE`. "
            "`mtbkd --cfg job` shows all settings with their values, whatever choices stand beside it.",
            "",
            "| group | decides | choices |",
            "|---|---|---|",
            *rows,
            "",
            "## Settings of the run",
            "",
            f"```yaml\nseed:{top.rstrip()}\n```",
            "",
        ]
    )


def names(group: str) -> str:
    """The choices that a command can name."""
    return ", ".join(f"`{path.stem}`" for path in choices(group) if path.parent.name == group)


def pages() -> dict[str, str]:
    """Path in the site's sources and Markdown of every page."""
    return {f"{FOLDER}/index.md": overview_page()} | {
        f"{FOLDER}/{group}.md": group_page(group) for group in GROUPS
    }


def on_config(config: Any, **_: Any) -> Any:
    """Put the pages into the navigation, under Reference."""
    reference = next(entry["Reference"] for entry in config.nav if "Reference" in entry)
    reference.append({NAV_TITLE: list(pages())})
    return config


def on_files(files: Any, config: Any, **_: Any) -> Any:
    """Add the pages to what mkdocs builds."""
    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files
