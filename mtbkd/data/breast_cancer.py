"""scikit-learn's breast cancer table: 569 tumours, 30 measurements of their cells, malignant or benign."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch

from mtbkd.data.assembly import assemble, standardise
from mtbkd.data.distillation import DistillationData, Rows
from mtbkd.data.splits import stratified_split
from mtbkd.errors import require_choice, require_fraction

_PERMUTATION_SEED = 0


@dataclass(frozen=True)
class BreastCancerConfig:
    """labelled_fraction, validation_fraction, test_fraction: shares; ood: `permuted` or `none`."""

    labelled_fraction: float = 0.1
    validation_fraction: float = 0.2
    test_fraction: float = 0.2
    ood: str = "permuted"

    def __post_init__(self) -> None:
        require_fraction(
            labelled_fraction=self.labelled_fraction,
            validation_fraction=self.validation_fraction,
            test_fraction=self.test_fraction,
        )
        require_choice("data.ood", self.ood, ("permuted", "none"))


def load(config: BreastCancerConfig, seed: int) -> DistillationData:
    """Measurements standardised on the pool; by default 341 pool, 114 validation, 114 test rows.

    Out of distribution are the test rows with their standardised measurements in another, fixed order: each value as
    likely as before, no two that belong together. They continue the row numbers: 569 + the row they were made from.
    """
    from sklearn.datasets import load_breast_cancer

    source = load_breast_cancer()
    split = stratified_split(source.target, config.validation_fraction, config.test_fraction, seed)
    x, raw, y = standardise(source.data, split.pool), source.data.astype(np.float32), source.target
    index = np.arange(len(x))
    if config.ood == "permuted":
        order = np.random.default_rng(_PERMUTATION_SEED).permutation(x.shape[1])
        outside = x[split.test][:, order]
        pool = source.data[split.pool]
        split = dataclasses.replace(split, ood=len(x) + np.arange(len(outside)))
        index = np.concatenate([index, len(x) + split.test])
        x = np.concatenate([x, outside])
        raw = np.concatenate([raw, (pool.mean(0) + pool.std(0) * outside).astype(np.float32)])
        y = np.concatenate([y, np.full(len(outside), -1)])
    rows = Rows(
        x=torch.from_numpy(x),
        y=torch.from_numpy(y.astype(np.int64)),
        ids=index.astype(str),
        index=torch.from_numpy(index),
        raw=raw,
    )
    names = tuple(str(name) for name in source.target_names)
    data = assemble("breast cancer", rows, split, names, config.labelled_fraction, seed)
    return dataclasses.replace(data, ood_name="test rows with their measurements permuted")
