"""Sequences of which a part is cut off, and inputs made anew from what is left."""

from dataclasses import dataclass

import numpy as np

from mtbkd.augmentation.added_rows import added_rows, check_choices, labels_of, repeated
from mtbkd.data.distillation import DistillationData, Rows
from mtbkd.errors import InputError


@dataclass(frozen=True)
class CropConfig:
    """copies: cut copies of each sequence; keep: the share of it that is left; labels: `keep` or `drop`."""

    copies: int = 1
    keep: float = 0.9
    labels: str = "drop"

    def __post_init__(self) -> None:
        check_choices(self.copies, self.labels)
        if not 0 < self.keep < 1:
            raise InputError(
                f"augmentation.keep is {self.keep}; it must lie strictly between 0 and 1: the share of a sequence "
                "that is left"
            )


def crop(config: CropConfig, data: DistillationData, rng: np.random.Generator) -> Rows:
    """Windows of round(keep * length) letters, at least 1 and at most length - 1, anywhere in each sequence.

    A cut end may take a sorting signal with it, and so the class: labels are dropped unless asked for, and the
    teachers see what is left. A sequence of one letter stays whole. The inputs are made from the cut sequences by
    the source's own features, with the pool's statistics as they were.
    Raises `InputError` for data that are no sequences, or whose source cannot make inputs from other sequences.
    """
    pool = data.pool
    if data.kind != "sequence" or pool.raw is None or data.encode is None:
        raise InputError(
            f"augmentation 'crop': the inputs of data '{data.name}' are {data.kind}s that cannot be made anew from cut "
            "sequences; choose data=proteins, or augmentation=noise, mixup or (pictures) shift"
        )
    cut = windows(repeated(pool.raw, config.copies), config.keep, rng)
    labels = labels_of(pool, config.copies, config.labels)
    return added_rows(pool, "crop", config.copies, data.encode(cut), labels, cut)


def windows(sequences: np.ndarray, keep: float, rng: np.random.Generator) -> np.ndarray:
    """A part of each of n sequences `[n]`, its start uniform among all that leave it whole."""
    lengths = np.array([len(s) for s in sequences])
    kept = np.rint(keep * lengths).astype(int).clip(1, np.maximum(lengths - 1, 1))
    starts = rng.integers(lengths - kept + 1)
    return np.array([s[a : a + k] for s, a, k in zip(sequences, starts, kept, strict=True)])
