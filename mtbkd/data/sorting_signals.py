"""Membrane segments, signal peptides and transit peptides of a protein, as numbers."""

import numpy as np

from mtbkd.data.residues import Residues, first_highest, mean_or_zero, sums, window_means

_SEGMENT = 19  # residues that cross a membrane as a helix
_CANDIDATE, _MEMBRANE, _CERTAIN = 1.4, 1.6, 2.0  # mean hydropathy of a segment
_APART = 20  # positions around a segment in which no other starts
_FLANK = 12


def membrane_segments(hydropathy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First residues and mean hydropathies of segments, in order: the best windows that do not overlap, at most 20."""
    means = window_means(hydropathy, _SEGMENT)
    open_ = means.copy()
    starts: list[int] = []
    while len(starts) < 20 and open_.max() > _CANDIDATE:
        best = first_highest(open_)
        starts.append(best)
        open_[max(0, best - _APART) : best + _APART + 1] = -np.inf
    ordered = np.sort(np.array(starts, np.int64))
    return ordered, means[ordered]


def membrane_features(protein: Residues) -> np.ndarray:
    """41 numbers: how many segments and where, charges beside them, extent and composition of the best one."""
    hydropathy, charge = protein.track("hydropathy"), sums(protein.track("charge"))
    size = len(protein)
    starts, means = membrane_segments(hydropathy)
    crossing = starts[means > _MEMBRANE]
    # A segment that starts within the first 20 residues is more often a signal peptide.
    body = int((crossing > 20).sum())
    found = [len(starts), len(crossing), (means > _CERTAIN).sum(), body]
    found += [np.log1p(len(crossing)), len(crossing) > 0, body == 0, body == 1]
    found += [body >= 2, body >= 4, body >= 6, len(crossing) * _SEGMENT / size]
    before, after = (crossing[0], size - crossing[-1] - _SEGMENT) if len(crossing) else (size, size)
    found += [min(before, 100) / 100, min(after, 100) / 100, before < 15, after < 10]
    # Positive-inside rule: charges on the two sides of the first and of the last segment.
    for start in (crossing[0], crossing[-1]) if len(crossing) else ():
        inner, outer = start + _SEGMENT, min(start + _SEGMENT + _FLANK, size)
        found += [charge[start] - charge[max(0, start - _FLANK)], charge[outer] - charge[min(inner, size)]]
    if not len(crossing):
        found += [0.0] * 4
    best = first_highest(window_means(hydropathy, _SEGMENT))
    if not len(starts):
        return np.array([*found, 0.0, *np.zeros(20)], np.float64)
    # Segments of the Golgi are shorter than those of the cell membrane.
    return np.array([*found, extent(hydropathy, best), *protein.share(best, best + _SEGMENT)], np.float64)


def extent(hydropathy: np.ndarray, best: int) -> int:
    """Length of the stretch round a segment in which no residue is less hydropathic than -1."""
    first, last = best, min(best + _SEGMENT - 1, len(hydropathy) - 1)
    while first > 0 and hydropathy[first - 1] > -1:
        first -= 1
    while last < len(hydropathy) - 1 and hydropathy[last + 1] > -1:
        last += 1
    return last - first + 1


def targeting_features(protein: Residues) -> np.ndarray:
    """45 numbers of the N-terminus: the hydrophobic core of a signal peptide and the charges round it, its cleavage
    site, and what transit peptides lack (acids) or have (arginine, serine, alanine)."""
    hydropathy, charge = protein.track("hydropathy"), protein.track("charge")
    found: list[float] = []
    for width in (8, 12):
        means = window_means(hydropathy[:40], width)
        core = first_highest(means)
        acids = (charge[core : core + width + 4] < 0).sum()
        found += [means[core], core / 20, charge[:core].sum(), (charge[:core] > 0).sum(), acids]
    core = first_highest(window_means(hydropathy[:40], 10))
    end = core + 10
    sites = cleavage_sites(protein, max(end, 12), min(end + 14, len(protein)))
    found += [sites.max() if len(sites) else 0.0, sites.sum()]
    # Whether hydropathy falls behind the core, as it does not in a membrane segment.
    for first in (end + 2, end + 8, end + 14):
        found.append(mean_or_zero(hydropathy[first : first + 6]) if len(protein) > first + 6 else 0.0)
    found += [protein.count(letter, core, core + 12) / 12 for letter in "LA"]
    found.append(protein.count("P", max(end - 2, 0), end + 10) / 12)
    acid = np.append(np.flatnonzero(charge < 0)[:3], [10_000] * 3)
    found += [min(acid[0], 100) / 20, min(acid[1], 120) / 20, min(acid[2], 120) / 20]
    for last in (20, 40, 60, 80):
        arginine, lysine = protein.count("R", 0, last), protein.count("K", 0, last)
        acids = protein.count("DE", 0, last)
        found += [arginine, arginine + lysine - acids, acids, protein.count("ST", 0, last)]
        found += [arginine / (1 + lysine), protein.count("A", 0, last)]
    return np.array(found, np.float64)


def cleavage_sites(protein: Residues, first: int, last: int) -> np.ndarray:
    """Whether signal peptidase may cut before each position: small residues at -1, small or aliphatic ones at -3."""
    before = np.arange(first, last)
    small = protein.one_hot[[0, 1, 5, 15, 16]].sum(0)  # A, C, G, S, T
    aliphatic = protein.one_hot[[7, 9, 17]].sum(0)  # I, L, V
    return small[before - 1] * (small + aliphatic)[before - 3]
