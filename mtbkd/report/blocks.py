"""What sections of the page are made of: plain blocks, each of a kind that the template knows how to show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from markupsafe import Markup

from mtbkd.report.content import FoundTable, ReportContent, UnsureInput

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mtbkd.report.csv_data import Columns

Tone = Literal["plain", "note", "missing"]


@dataclass(frozen=True)
class FigureView:
    """A figure on the page.

    name: unique on the page, and of its CSV file; label: what it shows, for those who do not see it
    caption: what to see in it; data: what it was drawn from, columns of one length
    """

    name: str
    figure: "Figure"
    label: str
    caption: str
    data: "Columns"


@dataclass(frozen=True)
class Words:
    """A paragraph; `missing` says why something is not there."""

    text: str
    tone: Tone = "plain"
    kind: ClassVar[str] = "words"


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    text: str
    kind: ClassVar[str] = "heading"


@dataclass(frozen=True)
class Figures:
    """Figures side by side.

    beside: blocks that stand to the right of them; tall_first: the next two stand beside the first, one below the other
    """

    views: Sequence[FigureView]
    beside: "Sequence[Block]" = ()
    tall_first: bool = False
    kind: ClassVar[str] = "figures"


@dataclass(frozen=True)
class Facts:
    """Names and values in columns."""

    values: Mapping[str, str]
    kind: ClassVar[str] = "facts"


@dataclass(frozen=True)
class Table:
    """A table with its heading and words; name: of its CSV file; most: rows shown, all of them are in the file."""

    name: str
    found: FoundTable
    most: int | None = None
    kind: ClassVar[str] = "table"

    @property
    def data(self) -> dict[str, list[str]]:
        """Its columns, for the file."""
        return {column: [row[i] for row in self.found.rows] for i, column in enumerate(self.found.columns)}


@dataclass(frozen=True)
class Bullets:
    """Sentences below each other, each with whether it is good news ("good", "plain", "bad")."""

    items: Sequence[tuple[str, str]]
    kind: ClassVar[str] = "bullets"


@dataclass(frozen=True)
class Verdict:
    """One word that judges."""

    text: str
    kind: ClassVar[str] = "verdict"


@dataclass(frozen=True)
class Code:
    """Text as it is; long: in a box of limited height."""

    text: str
    long: bool = False
    kind: ClassVar[str] = "code"


@dataclass(frozen=True)
class Html:
    """Markup that was made elsewhere."""

    html: Markup
    kind: ClassVar[str] = "html"


@dataclass(frozen=True)
class BarView:
    """One class in one model's opinion; p, low and high are probabilities.

    named: whether its model's name stands beside it, once for several bars; right: whether the class is the truth
    """

    model: str
    label: str
    p: float
    low: float | None
    high: float | None
    right: bool
    named: bool = True


@dataclass(frozen=True)
class Card:
    """An input as people look at it, and what everyone says of it."""

    item: UnsureInput
    shown: Markup
    truth: str | None
    bars: Sequence[BarView]


@dataclass(frozen=True)
class Cards:
    """Inputs with opinions; name: of its CSV file."""

    name: str
    cards: Sequence[Card]
    kind: ClassVar[str] = "cards"

    @property
    def data(self) -> dict[str, list[Any]]:
        """Every bar, for the file."""
        bars = [(card, bar) for card in self.cards for bar in card.bars]
        return {
            "input": [card.item.id for card, _ in bars],
            "truth": [card.truth for card, _ in bars],
            "total_nats": [card.item.total for card, _ in bars],
            "epistemic_nats": [card.item.epistemic for card, _ in bars],
            "model": [bar.model for _, bar in bars],
            "class": [bar.label for _, bar in bars],
            "probability": [bar.p for _, bar in bars],
            "lower": [bar.low for _, bar in bars],
            "upper": [bar.high for _, bar in bars],
        }


Block = Words | Heading | Figures | Facts | Table | Bullets | Verdict | Code | Html | Cards


@dataclass(frozen=True)
class Section:
    """A part of the page: its address on the page, its title, its name in the navigation, its blocks."""

    id: str
    title: str
    link: str
    blocks: Sequence[Block]


def fact_number(value: object) -> str:
    """A number for people: four digits, thousands apart; other things as they are."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def student_metrics(content: ReportContent) -> Mapping[str, Any]:
    """The student's metrics, none where it was not scored."""
    return content.metrics.get("student") or {}
