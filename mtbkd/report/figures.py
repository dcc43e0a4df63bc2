"""What all figures share: a panel of one width, names fit for it, and plain arrays of whatever a user has at hand.

Each figure of the report is a function that returns a matplotlib Figure of one panel, narrow enough to be read on a
phone; the page sets them side by side where there is room. None of them touches pyplot's global state.
"""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from mtbkd.evaluation.labelled import Labelled
from mtbkd.prediction import Prediction
from mtbkd.prediction_summary import PredictionSummary
from mtbkd.report.svg import INK, SERIES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Predicted = Prediction | PredictionSummary | ArrayLike

WIDTH = 3.9  # inches
BLUE, VERMILION = SERIES[0], SERIES[1]
NOTEBOOK_DPI = 144
DASHED = (0, (4, 3))


def panel(height: float, width: float = WIDTH) -> "Figure":
    """An empty figure of the report's width and the given height in inches; a notebook shows it as it stands."""
    from matplotlib.figure import Figure

    class Panel(Figure):
        """A Figure that a notebook shows without pyplot and without a setting."""

        def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
            out = io.BytesIO()
            self.savefig(out, format="png", dpi=NOTEBOOK_DPI, facecolor=self.get_facecolor())
            wide, high = self.get_size_inches()
            # sharp on a screen of two pixels a point, in the size that it has in print
            return out.getvalue(), {"width": round(100 * wide), "height": round(100 * high)}

    return Panel(figsize=(width, height), layout="constrained")


def readable(name: object, length: int = 24) -> str:
    """A name fit for a figure: printable, one line, shortened."""
    clean = "".join(c for c in str(name) if c.isprintable())
    return clean if len(clean) <= length else clean[: length - 1] + "…"


def rows_of_names(axes: Any, names: "list[str]") -> None:
    """One row a name, from the top, without ticks or lines between them."""
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), [readable(name) for name in names], color=INK)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)


def labelled(predicted: "Predicted", y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Mean probabilities `[n, K]` and labels `[n]` of the rows whose label is known.

    predicted: a Prediction, its summary, probabilities `[N, K]` or draws of them `[S, N, K]`
    y: `[N]` class indices, -1 unknown
    Raises `InputError` for no label, lengths that differ, labels outside -1..K-1, rows that are not probabilities.
    """
    if not isinstance(predicted, Prediction | PredictionSummary):
        predicted = torch.from_numpy(numbers(predicted))
    known = Labelled.of(predicted, torch.from_numpy(numbers(y)).long(), "figure")
    return known.probs, known.y


def numbers(values: Any) -> np.ndarray:
    """A tensor, a list or an array as a numpy array of floats."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().double()
    return np.ascontiguousarray(values, dtype=np.float64)


def series_colours(names: "Mapping[str, object] | list[str]") -> dict[str, str]:
    """A colour of the palette a name, in their order, again from the first where they are used up."""
    return {name: SERIES[i % len(SERIES)] for i, name in enumerate(names)}
