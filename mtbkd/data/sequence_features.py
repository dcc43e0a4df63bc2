"""The 461 classical features of a protein sequence: what it is made of, where, and how long it is.

Columns: `aac_*` amino-acid fractions (20), `n40_*` and `c40_*` the same over the first and the last 40
residues (20 + 20), `dpc_*` fractions of adjacent pairs (400), `log_length` natural log of the residue count.
Residues other than the 20 standard ones (U, X, B, ...) are left out of counts and denominators, but count
towards the length and the 40.
"""

from collections.abc import Sequence

import numpy as np

from mtbkd.data.column_treatment import Block

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
_TERMINUS = 40
_CODE = np.full(256, 20, np.int64)
_CODE[np.frombuffer(AMINO_ACIDS.encode(), np.uint8)] = np.arange(20)


# The 400 pairs together weigh as much as the 20 residues of one part: sqrt(20 / 400) each.
BLOCKS = (
    Block("aac", 20),
    Block("n40", 20),
    Block("c40", 20),
    Block("dpc", 400, (20 / 400) ** 0.5),
    Block("log_length", 1),
)
LIMIT = 3.0


def feature_names() -> tuple[str, ...]:
    """The 461 column names, in order."""
    single = [f"{part}_{a}" for part in ("aac", "n40", "c40") for a in AMINO_ACIDS]
    pairs = [f"dpc_{a}{b}" for a in AMINO_ACIDS for b in AMINO_ACIDS]
    return (*single, *pairs, "log_length")


def residue_codes(text: str) -> np.ndarray:
    """`[len(text)]` indices into AMINO_ACIDS; 20 for residues that are none of them."""
    return _CODE[np.frombuffer(text.encode("ascii"), np.uint8)]


def classical_features(sequences: Sequence[str] | np.ndarray) -> np.ndarray:
    """Features `[n, 461]` float32 of n non-empty upper-case sequences, not standardised."""
    n = len(sequences)
    lengths = np.array([len(s) for s in sequences], np.int64)
    code = residue_codes("".join(sequences))
    row = np.repeat(np.arange(n), lengths)
    from_start = np.arange(len(code)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    from_end = lengths[row] - 1 - from_start
    standard = code < 20
    pair = standard[:-1] & standard[1:] & (row[:-1] == row[1:])
    return np.concatenate(
        [
            _fractions(row[standard], code[standard], n, 20),
            *(
                _fractions(
                    row[standard & (distance < _TERMINUS)], code[standard & (distance < _TERMINUS)], n, 20
                )
                for distance in (from_start, from_end)
            ),
            _fractions(row[:-1][pair], (20 * code[:-1] + code[1:])[pair], n, 400),
            np.log(lengths)[:, None],
        ],
        axis=1,
    ).astype(np.float32)


def root_fractions(features: np.ndarray) -> np.ndarray:
    """Features `[n, 461]` with the square root of every fraction, whose variance then hardly depends on its mean."""
    return np.concatenate([np.sqrt(features[:, :-1]), features[:, -1:]], axis=1)


def _fractions(row: np.ndarray, code: np.ndarray, n: int, num_codes: int) -> np.ndarray:
    """Share of each code in each row `[n, num_codes]`; zeros for a row without any."""
    counts = np.bincount(row * num_codes + code, minlength=n * num_codes).reshape(n, num_codes)
    return counts / np.maximum(counts.sum(1, keepdims=True), 1)
