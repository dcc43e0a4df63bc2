"""One distillation problem, from any source: rows, splits, names."""

from mtbkd.data.distillation import DistillationData, Rows, hash_inputs

__all__ = ["DistillationData", "Rows", "hash_inputs"]
