"""scikit-learn's 1,797 handwritten digits, 8 x 8 grey levels: the main job needs no file."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from mtbkd.data.assembly import assemble, labelled_only, standardise_channels
from mtbkd.data.distillation import DistillationData, Rows
from mtbkd.data.splits import stratified_split
from mtbkd.errors import require_choice, require_fraction

_PERMUTATION_SEED = 0
OUT_OF_DISTRIBUTION = {
    "permuted": "test digits with their pixels permuted",
    "rotated": "test digits turned by 90 degrees",
}


@dataclass(frozen=True)
class DigitsConfig:
    """labelled_fraction, validation_fraction, test_fraction: shares; unlabelled: whether the pool keeps rows without a
    visible label; image: `[1, 8, 8]` inputs, not `[64]`; ood: `permuted`, `rotated` or `none`."""

    labelled_fraction: float = 0.2
    unlabelled: bool = True
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
        require_choice("data.ood", self.ood, (*OUT_OF_DISTRIBUTION, "none"))


def load(config: DigitsConfig, seed: int) -> DistillationData:
    """Digits standardised on the pool (one mean, one deviation); by default 1,437 pool, 180 validation, 180 test rows.

    Out of distribution are the test digits with all 64 pixels in another, fixed order (`permuted`: the same
    grey levels, no strokes) or turned by 90 degrees (`rotated`: nearer, a turned 0 is still a 0). They
    continue the row numbers: 1797 + the row of the digit they were made from. A view `image` `[1, 8, 8]` is there in
    any case, so that convolutional teachers can teach a student of vectors.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = digits.images.astype(np.float32)
    split = stratified_split(digits.target, config.validation_fraction, config.test_fraction, seed)
    if config.ood != "none":
        split = dataclasses.replace(split, ood=len(images) + split.test)
        images = np.concatenate([images, _out_of_distribution(images, config.ood)])
    y = np.concatenate([digits.target, np.full(len(images) - len(digits.target), -1)]).astype(np.int64)
    index = np.arange(len(images))
    x = standardise_channels(images, split.pool)
    rows = Rows(
        x=x if config.image else x.flatten(1),
        y=torch.from_numpy(y),
        ids=index.astype(str),
        index=torch.from_numpy(index),
        raw=images,
        views={"image": x},
    )
    names = tuple(str(k) for k in range(10))
    data = assemble("digits", rows, split, names, config.labelled_fraction, seed)
    data = data if config.unlabelled else labelled_only(data)
    kind: Literal["image", "vector"] = "image" if config.image else "vector"
    return dataclasses.replace(data, kind=kind, ood_name=OUT_OF_DISTRIBUTION.get(config.ood, data.ood_name))


def _out_of_distribution(images: np.ndarray, how: str) -> np.ndarray:
    if how == "rotated":
        return np.rot90(images, axes=(1, 2))
    order = np.random.default_rng(_PERMUTATION_SEED).permutation(64)
    return images.reshape(-1, 64)[:, order].reshape(-1, 8, 8)
