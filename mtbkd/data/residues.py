"""One protein's residues, prepared for questions about stretches of it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mtbkd.data.residue_scales import CHARGE, DISORDER, HELIX, HYDROPATHY, PROPERTIES, SHEET
from mtbkd.data.sequence_features import AMINO_ACIDS, residue_codes

# What windows run over: row of `Residues.tracks`.
TRACKS = {"hydropathy": 0, "charge": 1, "positive": 2, "negative": 3, "disorder": 4, "helix": 5, "sheet": 6}
_TRACK_SCALES = np.stack([HYDROPATHY, CHARGE, CHARGE > 0, CHARGE < 0, DISORDER, HELIX, SHEET])


@dataclass(frozen=True)
class Residues:
    """A sequence and its standard residues.

    text: the whole sequence; code: `[L]`, its standard residues as indices into AMINO_ACIDS, others left out
    """

    text: str
    code: np.ndarray

    @classmethod
    def of(cls, text: str) -> "Residues":
        code = residue_codes(text)
        return cls(text, code[code < len(AMINO_ACIDS)])

    def __len__(self) -> int:
        return len(self.code)

    @cached_property
    def tracks(self) -> np.ndarray:
        """`[7, L]`, a row a name of TRACKS."""
        return _TRACK_SCALES[:, self.code]

    def track(self, name: str) -> np.ndarray:
        return self.tracks[TRACKS[name]]

    @cached_property
    def one_hot(self) -> np.ndarray:
        """`[20, L]`."""
        return np.eye(len(AMINO_ACIDS))[:, self.code]

    @cached_property
    def counts(self) -> np.ndarray:
        """`[20, L + 1]`: how many of each residue stand before a position."""
        return sums(self.one_hot)

    @cached_property
    def properties(self) -> np.ndarray:
        """`[7, L]`, the standardised scales."""
        return PROPERTIES[:, self.code]

    def share(self, first: int, last: int) -> np.ndarray:
        """Fractions `[20]` of each residue from `first` up to `last`; zeros for a stretch without residues."""
        first, last = min(first, len(self)), min(last, len(self))
        return (self.counts[:, last] - self.counts[:, first]) / max(last - first, 1)

    def count(self, letters: str, first: int, last: int) -> float:
        """How many of the residues `letters` there are from `first` up to `last`."""
        rows = [AMINO_ACIDS.index(letter) for letter in letters]
        first, last = min(first, len(self)), min(last, len(self))
        return float((self.counts[rows, last] - self.counts[rows, first]).sum())

    def property_means(self, first: int, last: int) -> np.ndarray:
        """Mean of each standardised scale `[7]` from `first` up to `last`; zeros without residues."""
        return PROPERTIES @ self.share(first, last)


def sums(values: np.ndarray) -> np.ndarray:
    """`[..., L]` -> `[..., L + 1]`: the sum before each position."""
    return np.concatenate([np.zeros_like(values[..., :1]), np.cumsum(values, axis=-1)], axis=-1)


def window_means(values: np.ndarray, width: int) -> np.ndarray:
    """Means `[..., L - width + 1]` of every window; of the whole, `[..., 1]`, where L is less than the width."""
    if values.shape[-1] < width:
        return values.mean(-1, keepdims=True)
    total = sums(values)
    return (total[..., width:] - total[..., :-width]) / width


def first_highest(means: np.ndarray) -> int:
    """Where the highest window is, the first of equals: sums differ in their last digits where windows do not."""
    return int(means.round(9).argmax())


def mean_or_zero(values: np.ndarray) -> float:
    """The mean; 0 of nothing."""
    return float(values.mean()) if values.size else 0.0


def quantiles(values: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Quantiles by linear interpolation, as numpy's but without its cost on short arrays."""
    ordered = np.sort(values)
    place = levels * (len(ordered) - 1)
    below = place.astype(np.int64)
    above = np.minimum(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
