"""Predictions that are there already, as a teacher: looked up by split, nothing is run."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from mtbkd.data.distillation import DistillationData, Rows
from mtbkd.errors import InputError
from mtbkd.teachers.fingerprint import fingerprint
from mtbkd.teachers.teacher import NotCovered

VERSION = 1


@dataclass(frozen=True)
class SplitPredictions:
    """A teacher of which only its predictions at the data's own rows are known.

    predictions: `{split: logits [S, n, K]}`, rows as in that split of `data`; known: the classes it knows, None: all
    """

    name: str
    data: DistillationData
    predictions: dict[str, Tensor]
    known: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for split, z in self.predictions.items():
            expected = (len(self.data.splits[split]), self.data.num_classes)
            if tuple(z.shape[1:]) != expected:
                raise InputError(
                    f"teacher '{self.name}': its predictions for {split} have {z.shape[1]} rows and {z.shape[2]} "
                    f"classes, the data {expected[0]} and {expected[1]}; give one row an input, one column a class"
                )

    @property
    def fingerprint(self) -> str:
        """Hash of all predictions."""
        return fingerprint(
            kind="predictions", version=VERSION, predictions=self.predictions, known=self.known
        )

    def predict(self, rows: Rows) -> Tensor:
        """Logits `[S, n, K]`; raises `NotCovered` for rows that are no split, or one without predictions."""
        split = _split_of(self.data, rows)
        if split is None:
            raise NotCovered(
                f"teacher '{self.name}': has predictions for the data's own splits only, and these rows are "
                "none of them; use them whole and in order"
            )
        if split not in self.predictions:
            raise NotCovered(
                f"teacher '{self.name}': has predictions for {', '.join(self.predictions)}, none for {split}"
            )
        return self.predictions[split]

    def size(self) -> tuple[int | None, int | None]:
        return None, None


def refuse_made_rows(what: str, rows: Rows) -> None:
    """Raise `InputError` where augmentation made rows, of which stored predictions say nothing.

    Their names say how they were made, not with which seed: a prediction found by name could be of another input.
    """
    if bool(rows.made.any()):
        raise InputError(
            f"{what}: stored predictions know the source's inputs, and augmentation made {int(rows.made.sum())} "
            "others; choose augmentation=none, or teachers that can be asked about new inputs (kinds ensemble, "
            "estimator, skops_file, torch_module, saved_posterior)"
        )


def _split_of(data: DistillationData, rows: Rows) -> str | None:
    for split, known in data.splits.items():
        if known is rows or (known.hash == rows.hash and np.array_equal(known.ids, rows.ids)):
            return split
    return None
