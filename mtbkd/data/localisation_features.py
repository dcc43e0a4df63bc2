"""911 columns from a raw sequence that tell where a protein goes; no model, no alignment, no other data.

| group | columns | what it is, and why | scale |
|---|---|---|---|
| length | 5 | log of the residues; under 100, 150, 200; over 600 | 1 |
| composition | 20 | roots of the amino-acid fractions | 1 |
| n_composition | 120 | the same of residues 0-10, 0-20, 0-30, 0-50, 20-70, 50-100: targeting peptides | 0.5 |
| c_composition | 80 | the same of the last 6, 15, 30, 60: retention signals, tail anchors | 0.5 |
| n_profile | 105 | seven scales in bins of 5 (to 60) and of 20 (to 120) | 0.5 |
| c_profile | 42 | the same in bins of 5 over the last 30 | 0.5 |
| c_end | 60 | the last three residues: PTS1, KDEL, CaaX | 0.5 |
| n_end | 40 | the second and third: acetylation, myristoylation | 0.5 |
| fifths | 35 | seven scales over five equal parts | 1 |
| windows | 168 | quantiles of hydropathy, charge, disorder, helix, sheet in windows; hydrophobic moments | 1.2 |
| richest | 40 | most of each residue in any window of 20 and of 50: low complexity | 1 |
| membrane | 41 | membrane segments and the charges beside them (sorting_signals.py) | 1.5 |
| targeting | 45 | signal and transit peptides (sorting_signals.py) | 1.4 |
| motifs | 72 | counts of short patterns (localisation_motifs.py) | 1.4 |
| whole | 10 | charge, hydropathy, Lys over Arg, odd cysteines, entropy, repeats | 1 |
| autocovariance | 28 | of hydropathy, charge, volume, disorder at lags 1 to 10: amphipathic structure | 1 |

Scales were chosen by cross-validation on the 2,000 fitting rows of the DeepLoc subset: signals that biology knows a
meaning of count for more, position-wise compositions for less. Residues other than the 20 standard ones (U, X, B,
...) are left out, but for motifs, which see the whole sequence.
"""

from collections.abc import Callable, Sequence

import numpy as np

from mtbkd.data.column_treatment import Block
from mtbkd.data.localisation_motifs import MOTIFS, motif_counts
from mtbkd.data.residue_scales import CONSENSUS
from mtbkd.data.residues import Residues, quantiles, window_means
from mtbkd.data.sequence_features import AMINO_ACIDS
from mtbkd.data.sorting_signals import membrane_features, targeting_features

LIMIT = 4.0  # standard deviations at which a column is cut
_LEVELS = np.array([0, 0.05, 0.25, 0.5, 0.75, 0.9, 0.97, 1])
_WINDOWS = {
    "hydropathy": (7, 11, 19, 31),
    "charge": (7, 15, 31),
    "positive": (5, 9, 17),
    "negative": (9, 17),
    "disorder": (21, 41),
    "helix": (15,),
    "sheet": (9,),
}
_HELIX_TURN, _SHEET_TURN = 100, 160  # degrees a residue
_HYDROPATHY, _CHARGE, _VOLUME, _DISORDER = 0, 2, 3, 6  # rows of PROPERTIES


def localisation_features(sequences: Sequence[str] | np.ndarray) -> np.ndarray:
    """Features `[n, 911]` float32 of n non-empty upper-case sequences, neither standardised nor scaled.

    A sequence without a single standard residue has zeros.
    """
    return np.stack([_row(str(sequence)) for sequence in sequences]).astype(np.float32)


def _row(sequence: str) -> np.ndarray:
    protein = Residues.of(sequence)
    if not len(protein):
        return np.zeros(sum(block.size for block in BLOCKS))
    return np.concatenate([group(protein) for group in _GROUPS])


def _length(protein: Residues) -> np.ndarray:
    size = len(protein)
    return np.array([np.log(size), size < 100, size < 150, size < 200, size > 600], np.float64)


def _composition(protein: Residues) -> np.ndarray:
    return np.sqrt(protein.share(0, len(protein)))


def _n_composition(protein: Residues) -> np.ndarray:
    parts = ((0, 10), (0, 20), (0, 30), (0, 50), (20, 70), (50, 100))
    return np.sqrt(np.concatenate([protein.share(first, last) for first, last in parts]))


def _c_composition(protein: Residues) -> np.ndarray:
    size = len(protein)
    return np.sqrt(np.concatenate([protein.share(max(size - n, 0), size) for n in (6, 15, 30, 60)]))


def _n_profile(protein: Residues) -> np.ndarray:
    # From the second residue on: nearly all sequences begin with methionine.
    bins = [(first, first + 5) for first in range(1, 61, 5)] + [(61, 81), (81, 101), (101, 121)]
    return np.concatenate([protein.property_means(first, last) for first, last in bins])


def _c_profile(protein: Residues) -> np.ndarray:
    size = len(protein)
    bins = [(max(size - n - 5, 0), max(size - n, 0)) for n in range(0, 30, 5)]
    return np.concatenate([protein.property_means(first, last) for first, last in bins])


def _c_end(protein: Residues) -> np.ndarray:
    size = len(protein)
    return np.concatenate([protein.share(max(size - n, 0), max(size - n + 1, 0)) for n in (1, 2, 3)])


def _n_end(protein: Residues) -> np.ndarray:
    return np.concatenate([protein.share(n, n + 1) for n in (1, 2)])


def _fifths(protein: Residues) -> np.ndarray:
    size, rest = divmod(len(protein), 5)
    ends = np.cumsum([0, *[size + (part < rest) for part in range(5)]])
    return np.concatenate([protein.property_means(ends[part], ends[part + 1]) for part in range(5)])


def _windows(protein: Residues) -> np.ndarray:
    found: list[np.ndarray] = []
    for name, widths in _WINDOWS.items():
        for width in widths:
            means = window_means(protein.track(name), width)
            found += [quantiles(means, _LEVELS), means.std(keepdims=True)]
    for turn in (_HELIX_TURN, _SHEET_TURN):
        for width in (11, 18):
            moments = hydrophobic_moments(protein, width, turn)
            near = moments[: max(40 - width + 1, 1)]
            near_values = np.array([near.max(), near.mean()])
            found += [quantiles(moments, np.array([0.25, 0.5, 0.9, 1])), near_values]
    return np.concatenate(found)


def hydrophobic_moments(protein: Residues, width: int, turn: float) -> np.ndarray:
    """How one-sidedly hydrophobic each window is when every residue turns by so many degrees (Eisenberg 1984)."""
    angle = np.deg2rad(turn) * np.arange(len(protein))
    consensus = CONSENSUS[protein.code]
    return np.hypot(
        window_means(consensus * np.cos(angle), width), window_means(consensus * np.sin(angle), width)
    )


def _richest(protein: Residues) -> np.ndarray:
    return np.concatenate([window_means(protein.one_hot, width).max(1) for width in (20, 50)])


def _motifs(protein: Residues) -> np.ndarray:
    return motif_counts(protein.text)


def _whole(protein: Residues) -> np.ndarray:
    size = len(protein)
    share = protein.share(0, size)
    charge, hydropathy = protein.track("charge"), protein.track("hydropathy")
    count = {letter: protein.count(letter, 0, size) for letter in "CDEKR"}
    return np.array(
        [
            charge.sum() / np.sqrt(size),
            charge.mean(),
            np.abs(charge).mean(),
            hydropathy.mean(),
            hydropathy.std(),
            (count["K"] + count["R"]) / (1 + count["D"] + count["E"]),
            np.log1p(count["K"]) - np.log1p(count["R"]),
            count["C"] % 2,  # an odd one cannot be in a disulfide bond
            -(share * np.log(share + 1e-9)).sum(),
            (protein.code[:-1] == protein.code[1:]).sum() / size,
        ]
    )


def _autocovariance(protein: Residues) -> np.ndarray:
    values = protein.properties[[_HYDROPATHY, _CHARGE, _VOLUME, _DISORDER]]
    values = values - values.mean(1, keepdims=True)
    lags = [
        (values[:, lag:] * values[:, :-lag]).mean(1) if len(protein) > lag else np.zeros(4)
        for lag in (1, 2, 3, 4, 5, 7, 10)
    ]
    return np.stack(lags, 1).ravel()


_PLAN: tuple[tuple[Callable[[Residues], np.ndarray], Block], ...] = (
    (_length, Block("length", 5)),
    (_composition, Block("composition", 20)),
    (_n_composition, Block("n_composition", 6 * 20, 0.5)),
    (_c_composition, Block("c_composition", 4 * 20, 0.5)),
    (_n_profile, Block("n_profile", 15 * 7, 0.5)),
    (_c_profile, Block("c_profile", 6 * 7, 0.5)),
    (_c_end, Block("c_end", 3 * 20, 0.5)),
    (_n_end, Block("n_end", 2 * 20, 0.5)),
    (_fifths, Block("fifths", 5 * 7)),
    (_windows, Block("windows", 16 * 9 + 4 * 6, 1.2)),
    (_richest, Block("richest", 2 * len(AMINO_ACIDS))),
    (membrane_features, Block("membrane", 41, 1.5)),
    (targeting_features, Block("targeting", 45, 1.4)),
    (_motifs, Block("motifs", len(MOTIFS), 1.4)),
    (_whole, Block("whole", 10)),
    (_autocovariance, Block("autocovariance", 4 * 7)),
)
_GROUPS = tuple(group for group, _ in _PLAN)
BLOCKS = tuple(block for _, block in _PLAN)
