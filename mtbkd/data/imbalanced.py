"""A made table of a rare kind of row, as fraud among payments: a few rows in a hundred, of two different sorts.

    ordinary   N(0, I)
    first      N(shift (1, 1, 1, 0, 0, 0, ...), I)        half of the rare rows
    second     N(shift (0, 0, 0, -1, -1, 1, ...), I / 4)   the others

The sorts lie on different sides of the ordinary rows, so that one plane cannot cut both off well; the features after
the sixth tell nothing.
"""

from dataclasses import dataclass

import numpy as np
import torch

from mtbkd.data.assembly import assemble, standardise
from mtbkd.data.distillation import DistillationData, Rows
from mtbkd.data.splits import stratified_split
from mtbkd.errors import InputError, require_at_least, require_fraction

_TABLE_STREAM = 10  # apart from the streams of splits and labels
CLASS_NAMES = ("ordinary", "rare")
FIRST = (1.0, 1.0, 1.0, 0.0, 0.0, 0.0)
SECOND = (0.0, 0.0, 0.0, -1.0, -1.0, 1.0)


@dataclass(frozen=True)
class ImbalancedConfig:
    """rows, features: size of the table; rare_fraction: share of rare rows; shift: how far these lie off, in standard
    deviations a feature; labelled_fraction, validation_fraction, test_fraction: shares."""

    rows: int = 5000
    features: int = 10
    rare_fraction: float = 0.02
    shift: float = 2.0
    labelled_fraction: float = 0.2
    validation_fraction: float = 0.2
    test_fraction: float = 0.3

    def __post_init__(self) -> None:
        require_at_least(len(FIRST), **{"data.features": self.features})
        require_at_least(0, **{"data.shift": self.shift})
        require_fraction(
            rare_fraction=self.rare_fraction,
            labelled_fraction=self.labelled_fraction,
            validation_fraction=self.validation_fraction,
            test_fraction=self.test_fraction,
        )
        if not 2 <= round(self.rows * self.rare_fraction) <= self.rows - 2:
            raise InputError(
                f"data.rows {self.rows} and data.rare_fraction {self.rare_fraction:g} leave a class with fewer than "
                "two rows; choose more rows or another share"
            )


def load(config: ImbalancedConfig, seed: int) -> DistillationData:
    """The table of that seed, standardised on its pool; by default 2,500 pool, 1,000 validation and 1,500 test rows,
    a fiftieth of each of them rare."""
    raw, y = table(config, seed)
    split = stratified_split(y, config.validation_fraction, config.test_fraction, seed)
    index = np.arange(len(y))
    rows = Rows(
        x=torch.from_numpy(standardise(raw, split.pool)),
        y=torch.from_numpy(y),
        ids=index.astype(str),
        index=torch.from_numpy(index),
        raw=raw.astype(np.float32),
    )
    return assemble("imbalanced", rows, split, CLASS_NAMES, config.labelled_fraction, seed)


def table(config: ImbalancedConfig, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features `[n, D]` before standardisation, and classes `[n]`, 1 the rare one; rows in random order."""
    rng = np.random.default_rng([seed, _TABLE_STREAM])
    rare = round(config.rows * config.rare_fraction)
    first = rare - rare // 2
    x = rng.standard_normal((config.rows, config.features))
    x[first:rare] *= 0.5
    x[:first, : len(FIRST)] += config.shift * np.array(FIRST)
    x[first:rare, : len(SECOND)] += config.shift * np.array(SECOND)
    order = rng.permutation(config.rows)
    return x[order], (order < rare).astype(np.int64)
