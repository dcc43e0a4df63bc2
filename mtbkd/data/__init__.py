"""One distillation problem, from any source: rows, splits, names."""

from mtbkd.data.arrays import from_arrays
from mtbkd.data.distillation import DistillationData, Rows, hash_inputs

__all__ = ["DistillationData", "Rows", "from_arrays", "hash_inputs"]
