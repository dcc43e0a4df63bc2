"""Figures as inline SVG: one calm style, colours that the page decides, ids that do not clash."""

import functools
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec
from xml.etree import ElementTree

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.figure import Figure

P = ParamSpec("P")

# Stand-ins: the page's style sheet says what they are in the light, in the dark and on paper. On their own they
# are Okabe and Ito's colour-blind safe palette on white.
INK, MUTED, LINE, SURFACE = "#1c2127", "#5f6b78", "#d9dee4", "#fefefe"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
VARIABLES = {INK: "var(--ink)", MUTED: "var(--muted)", LINE: "var(--line)", SURFACE: "var(--surface)"} | {
    colour: f"var(--series-{i})" for i, colour in enumerate(SERIES)
}
STYLE: dict[Any, object] = {
    "figure.facecolor": SURFACE,  # a notebook may be dark, and its ink is not ours; the page takes it off
    "savefig.facecolor": "none",
    "axes.facecolor": "none",
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,  # a dollar in a name is a dollar
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9,
    "axes.titlesize": 10,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.4,
    "svg.fonttype": "none",
    "svg.hashsalt": "mtbkd",
}


@contextmanager
def report_style() -> Iterator[None]:
    """The report's style, whatever the user's own matplotlib settings are; they come back afterwards."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def styled(draw: "Callable[P, Figure]") -> "Callable[P, Figure]":
    """Draw a figure in the report's style."""

    @functools.wraps(draw)
    def in_style(*args: P.args, **kwargs: P.kwargs) -> "Figure":
        with report_style():
            return draw(*args, **kwargs)

    return in_style


def inline_svg(figure: "Figure", label: str, prefix: str) -> Markup:
    """A figure as an SVG element for an HTML page.

    label: what it shows, for those who do not see it
    prefix: put before every id, so that figures on one page do not refer into each other
    """
    out = io.BytesIO()
    with report_style():
        # no date, no creator: the same run gives the same bytes, and the page names no address
        figure.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    root = ElementTree.fromstring(out.getvalue())
    for parent in list(root.iter()):
        for child in [c for c in parent if c.tag.endswith("}style")]:
            parent.remove(child)  # it would hold for the whole page
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {k.rpartition("}")[2]: _mended(k, v, prefix) for k, v in element.attrib.items()}
    root.attrib = {
        "class": "figure",
        "role": "img",
        "aria-label": label,
        "viewBox": root.attrib["viewBox"],
        "style": f"max-width: {1.2 * figure.get_figwidth():g}in",
    }
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _mended(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return f"{prefix}-{value}"
    if name == "style":
        for colour, variable in VARIABLES.items():
            value = value.replace(colour, variable)
        return re.sub(r"font-family:[^;]*(;|$)", "", value)  # the page's own font
    return re.sub(r"^(url\()?#", rf"\1#{prefix}-", value)
