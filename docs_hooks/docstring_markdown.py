"""Docstrings as Markdown: `name: what it is` on a line of its own is an item of a list, `Raises` begins a paragraph.

Docstrings here are free text. In a terminal their lines stand as written; Markdown would run them together.
"""

import re
from typing import Any

import griffe

# `probs: [S, N, K]`, `class_names, classes: ...`, and several on a line: `x: [N, D]; y: [N]`
FIELD = re.compile(r"^(\*{0,2}\w+(?:, \w+)*): (.+)$")
# Words that head a line and name no argument.
WORDS = ("source", "sources", "returns", "raises", "fitted")
PARAGRAPH = re.compile(r"^(Raises|Returns) ")


def as_markdown(text: str) -> str:
    """The docstring with a list where lines name fields, and paragraphs where a sentence begins one."""
    lines: list[str] = []
    in_item = False
    for line in text.splitlines():
        field = FIELD.match(line)
        if field:
            if not in_item and lines and lines[-1]:
                lines.append("")
            names = ", ".join(named(name) for name in field.group(1).split(", "))
            lines.append(f"- {names}: {field.group(2)}")
            in_item = True
        elif in_item and line.startswith("  "):
            lines.append("    " + line.strip())
        elif PARAGRAPH.match(line) and lines and lines[-1]:
            lines += ["", line]
            in_item = False
        else:
            if in_item and line:
                lines.append("")
            in_item = False
            lines.append(line)
    return "\n".join(lines)


def named(name: str) -> str:
    """An argument as code, another word that heads a line as a word."""
    return f"*{name}*" if name.lower() in WORDS else f"`{name}`"


class DocstringMarkdown(griffe.Extension):
    """Rewrites each docstring when griffe has read it."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for every module, class, function and attribute."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)
