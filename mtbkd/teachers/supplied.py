"""Predictions that came with the data."""

from dataclasses import dataclass

from mtbkd.data.distillation import DistillationData
from mtbkd.errors import InputError, nearest
from mtbkd.teachers.split_predictions import SplitPredictions, refuse_made_rows
from mtbkd.teachers.teacher import Teacher
from mtbkd.teachers.values import check_logits


@dataclass(frozen=True)
class SuppliedConfig:
    """teacher: its name in the data, null where it is the member's own name."""

    teacher: str | None = None


def build(name: str, config: SuppliedConfig, data: DistillationData, seed: int) -> Teacher:
    """The teacher of that name in `data.supplied`; raises `InputError` where there is none, or the pool has
    rows that augmentation made. Its logits may be -inf: log-probabilities of exact zeros."""
    wanted = name if config.teacher is None else config.teacher
    if not data.supplied:
        raise InputError(
            f"teacher '{name}': data '{data.name}' came without predictions; choose other teachers"
        )
    if wanted not in data.supplied:
        raise InputError(
            f"teacher '{name}': data '{data.name}' has no predictions of '{wanted}'; "
            f"{nearest(wanted, data.supplied)}"
        )
    refuse_made_rows(f"teacher '{name}'", data.pool)
    checked = {
        split: check_logits(name, z, zeros=True)
        for split, z in data.supplied[wanted].items()
        if split in data.splits
    }
    return SplitPredictions(name, data, checked)
