"""Images from an npz (`x_train`, `y_train`, `x_test`, `y_test`, `class_names`) or a folder of idx files.

Without `x_test` there is no test split. Row numbers count the train images, then the test images, then the
out-of-distribution images, each in the order of its file, whatever subset is taken.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from mtbkd.data.assembly import assemble, standardise_channels
from mtbkd.data.distillation import DistillationData, Rows, check_labels
from mtbkd.data.image_files import read_images
from mtbkd.data.npz import existing
from mtbkd.data.splits import Split, stratified_split, subset
from mtbkd.errors import InputError, require_at_least, require_fraction


@dataclass(frozen=True)
class ImagesConfig:
    """path: npz or folder; ood_path: another one, whose test images are out of distribution; train_size:
    train images to take (stratified, null all); test_size: test images to take, and at most as many out of
    distribution; validation_fraction: share of the train images taken; labelled_fraction: of the pool."""

    path: str | None = None
    ood_path: str | None = None
    train_size: int | None = None
    test_size: int | None = None
    validation_fraction: float = 0.1
    labelled_fraction: float = 1.0

    def __post_init__(self) -> None:
        require_fraction(
            validation_fraction=self.validation_fraction, labelled_fraction=self.labelled_fraction
        )
        require_at_least(1, train_size=self.train_size, test_size=self.test_size)


def load(config: ImagesConfig, seed: int) -> DistillationData:
    """Inputs `[n, C, H, W]`: each channel less the pool's mean, over the pool's standard deviation.

    Raises `InputError` for missing or damaged files, arrays of another kind, and out-of-distribution images
    of another size or number of channels.
    """
    path = existing(config.path, "data.path")
    file = read_images(path, ["x_train", "y_train"], ["x_test", "y_test", "class_names"])
    train = file["x_train"]
    test = file.get("x_test", train[:0])
    ood = _read_ood(config.ood_path) if config.ood_path else train[:0]
    for what, images in (("x_test", test), ("data.ood_path", ood)):
        if images.shape[1:] != train.shape[1:]:
            raise InputError(
                f"{what}: images of shape {images.shape[1:]}, the train images have {train.shape[1:]}; "
                "use the same size and channels"
            )
    y = np.concatenate([file["y_train"], file.get("y_test", np.full(len(test), -1))]).astype(np.int64)
    names = file.get("class_names", np.arange(y.max(initial=-1) + 1)).tolist()
    check_labels(f"{path}: labels", torch.from_numpy(y), len(names))

    y_train, y_test = y[: len(train)], y[len(train) :]
    ood_size = min(config.test_size, len(ood)) if config.test_size and len(ood) else None
    taken = (
        subset(y_train, config.train_size, seed, "data.train_size"),
        subset(y_test, config.test_size, seed, "data.test_size"),
        subset(np.full(len(ood), -1), ood_size, seed, "data.test_size"),
    )
    inner = stratified_split(y_train[taken[0]], config.validation_fraction, 0.0, seed)
    part = np.repeat([0, 1, 2], [len(rows) for rows in taken])
    split = Split(inner.pool, inner.validation, np.flatnonzero(part == 1), np.flatnonzero(part == 2))
    images = np.concatenate([x[rows] for x, rows in zip((train, test, ood), taken, strict=True)])
    labels = np.concatenate([y_train[taken[0]], y_test[taken[1]], np.full(len(taken[2]), -1)])
    index = np.concatenate([taken[0], len(train) + taken[1], len(y) + taken[2]])
    rows = Rows(
        x=standardise_channels(images, split.pool),
        y=torch.from_numpy(labels),
        ids=index.astype(str),
        index=torch.from_numpy(index),
        raw=images,
    )
    class_names = tuple(str(name) for name in names)
    data = assemble(path.stem, rows, split, class_names, config.labelled_fraction, seed, kind="image")
    return replace(data, ood_name=f"images of {Path(config.ood_path).stem}") if config.ood_path else data


def _read_ood(path: str) -> np.ndarray:
    return read_images(existing(path, "data.ood_path"), ["x_test"])["x_test"]
