"""scikit-learn's 1,797 handwritten digits, 8 x 8 grey levels: the main job needs no file."""

from dataclasses import dataclass

import numpy as np
import torch

from mtbkd.data.distillation import DistillationData, Rows
from mtbkd.data.splits import stratified_split, visible_labels
from mtbkd.errors import require_choice, require_fraction

_OOD = ("permuted", "rotated", "none")
_PERMUTATION_SEED = 0


@dataclass(frozen=True)
class DigitsConfig:
    """labelled_fraction, validation_fraction, test_fraction: shares; image: `[1, 8, 8]` inputs, not `[64]`;
    ood: `permuted`, `rotated` or `none`."""

    labelled_fraction: float = 0.2
    validation_fraction: float = 0.1
    test_fraction: float = 0.1
    image: bool = False
    ood: str = "permuted"

    def __post_init__(self) -> None:
        require_fraction(
            labelled_fraction=self.labelled_fraction,
            validation_fraction=self.validation_fraction,
            test_fraction=self.test_fraction,
        )
        require_choice("data.ood", self.ood, _OOD)


def load(config: DigitsConfig, seed: int) -> DistillationData:
    """Digits scaled to 0..1; by default 1,437 pool, 180 validation and 180 test rows.

    Out of distribution are the test digits with all 64 pixels in another, fixed order (`permuted`: the same
    grey levels, no strokes) or turned by 90 degrees (`rotated`: nearer, a turned 0 is still a 0). They
    continue the row numbers: 1797 + the row of the digit they were made from.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = digits.images.astype(np.float32)
    y = digits.target.astype(np.int64)
    names = tuple(str(k) for k in range(10))
    split = stratified_split(y, config.validation_fraction, config.test_fraction, seed)
    rows = _rows(images, y, np.arange(len(y)), config.image)
    pool = rows.take(torch.from_numpy(split.pool))
    data = DistillationData(
        name="digits",
        pool=pool,
        validation=rows.take(torch.from_numpy(split.validation)),
        test=rows.take(torch.from_numpy(split.test)),
        class_names=names,
        teacher_y=pool.y,
        ood=_ood(images[split.test], len(y) + split.test, config),
        kind="image" if config.image else "vector",
    )
    visible = visible_labels(y[split.pool], config.labelled_fraction, names, seed)
    return data.with_pool_labels(torch.from_numpy(visible))


def _ood(images: np.ndarray, index: np.ndarray, config: DigitsConfig) -> Rows | None:
    if config.ood == "none" or not len(images):
        return None
    if config.ood == "rotated":
        images = np.rot90(images, axes=(1, 2)).copy()
    else:
        order = np.random.default_rng(_PERMUTATION_SEED).permutation(64)
        images = images.reshape(-1, 64)[:, order].reshape(-1, 8, 8)
    return _rows(images, np.full(len(images), -1), index, config.image)


def _rows(images: np.ndarray, y: np.ndarray, index: np.ndarray, image: bool) -> Rows:
    x = torch.from_numpy(images / 16.0)
    x = x[:, None] if image else x.flatten(1)
    return Rows(x, torch.from_numpy(y), index.astype(str), torch.from_numpy(index), images)
