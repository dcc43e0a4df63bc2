"""Inputs as people look at them: images as pictures, vectors as values, sequences as their beginning."""

import base64
import io

import numpy as np
from markupsafe import Markup

FEATURES = 8
RESIDUES = 48


def picture(value: np.ndarray, label: str) -> Markup:
    """An image as an <img> with its PNG inside.

    value: `[H, W]`, `[H, W, C]` or `[C, H, W]`, C 1 or 3; uint8, or of any range, then stretched to it
    """
    from PIL import Image

    pixels = np.asarray(value)
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3) and pixels.shape[2] not in (1, 3):
        pixels = np.moveaxis(pixels, 0, 2)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.dtype != np.uint8:
        low, high = float(pixels.min()), float(pixels.max())
        pixels = ((pixels - low) / (high - low or 1.0) * 255).round().astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="png")
    source = "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
    return Markup('<img src="{}" alt="{}" width="112" height="112">').format(source, label)


def values(value: np.ndarray, names: tuple[str, ...] | None) -> Markup:
    """The first values of a vector, with their names where there are any, and how many more there are."""
    flat = np.asarray(value).ravel()
    called = names if names and len(names) == len(flat) else tuple(f"x{i}" for i in range(len(flat)))
    row = Markup("<div><dt>{}</dt><dd>{}</dd></div>")
    rows = Markup("").join(
        row.format(name, _number(v)) for name, v in zip(called[:FEATURES], flat[:FEATURES], strict=True)
    )
    rest = len(flat) - FEATURES
    more = Markup('<p class="note">and {} more</p>').format(rest) if rest > 0 else Markup("")
    return Markup('<dl class="values">{}</dl>{}').format(rows, more)


def sequence(value: str) -> Markup:
    """A sequence's length and its beginning."""
    start = value[:RESIDUES] + ("…" if len(value) > RESIDUES else "")
    return Markup('<p class="sequence"><b>length {}</b> <code>{}</code></p>').format(len(value), start)


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float | np.number) else str(value)
