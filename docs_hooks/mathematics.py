"""LaTeX in pages becomes MathML when the site is built: browsers draw it themselves, and nothing is loaded for it.

pymdownx.arithmatex finds `$...$` and `$$...$$` and marks them; latex2mathml translates what it marked.
"""

import html
import re
from typing import Any
from xml.etree import ElementTree

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError

MARKED = re.compile(r'<(span|div) class="arithmatex">\\[\[(](.*?)\\[\])]</\1>', re.DOTALL)
# What latex2mathml does not know it writes as text, backslash and all.
UNKNOWN = re.compile(r"\\[A-Za-z]+")


def to_mathml(latex: str, display: bool) -> str:
    """MathML of a formula, on a line of its own if `display`; raises `ValueError` for a command that is not known."""
    found = convert(latex, display="block" if display else "inline")
    unknown = UNKNOWN.search(found)
    if unknown:
        raise ValueError(f"formula '{latex.strip()}': latex2mathml does not know {unknown.group()}")
    try:
        ElementTree.fromstring(found)
    except ElementTree.ParseError as error:
        raise ValueError(
            f"formula '{latex.strip()}': no MathML ({error}); an & stands in split or array"
        ) from error
    return f'<div class="formula">{found}</div>' if display else found


def on_page_content(content: str, page: Any, **_: Any) -> str:
    """Replace each marked formula of a page; mkdocs calls this with the page's HTML."""

    def translated(match: re.Match[str]) -> str:
        try:
            return to_mathml(html.unescape(match.group(2)), display=match.group(1) == "div")
        except ValueError as error:
            raise PluginError(f"{page.file.src_uri}: {error}") from error

    return MARKED.sub(translated, content)
