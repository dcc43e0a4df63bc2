"""Pictures moved by a few whole pixels."""

from dataclasses import dataclass

import numpy as np
import torch

from mtbkd.augmentation.added_rows import added_rows, check_choices, labels_of, repeated
from mtbkd.data.distillation import DistillationData, Rows
from mtbkd.errors import InputError, require_at_least


@dataclass(frozen=True)
class ShiftConfig:
    """copies: moved copies of each input; pixels: the farthest move along each axis; labels: `keep` or `drop`."""

    copies: int = 1
    pixels: int = 1
    labels: str = "drop"

    def __post_init__(self) -> None:
        check_choices(self.copies, self.labels)
        require_at_least(1, **{"augmentation.pixels": self.pixels})
        moves = (2 * self.pixels + 1) ** 2 - 1
        if self.copies > moves:
            raise InputError(
                f"augmentation.copies is {self.copies}, but there are {moves} moves by up to {self.pixels} pixels; "
                "choose fewer copies or more pixels"
            )


def shift(config: ShiftConfig, data: DistillationData, rng: np.random.Generator) -> Rows:
    """Copies `[copies * n, ...]`, those of one picture moved differently, and none not at all.

        new[i, j] = old[clip(i - down, 0, H - 1), clip(j - right, 0, W - 1)],   down, right in -pixels..pixels

    What comes into the picture repeats its edge: this is the same for raw and standardised pixels.
    Raises `InputError` for inputs that are no pictures, or smaller than the move.
    """
    pool = data.pool
    channels, height, width = picture_shape(data)
    if config.pixels >= min(height, width):
        raise InputError(
            f"augmentation.pixels is {config.pixels}, the pictures are {height} x {width}; move them by less"
        )
    moves = different_moves(config.pixels, config.copies, len(pool), rng)
    images = pool.x.reshape(-1, channels, height, width).permute(0, 2, 3, 1).numpy()
    found = torch.from_numpy(moved(repeated(images, config.copies), moves)).permute(0, 3, 1, 2)
    raw = None
    if pool.raw is not None and pool.raw.shape[1:3] == (height, width):
        raw = moved(repeated(pool.raw, config.copies), moves)
    labels = labels_of(pool, config.copies, config.labels)
    x = found.reshape(-1, *data.input_shape).contiguous()
    return added_rows(pool, "shift", config.copies, x, labels, raw)


def picture_shape(data: DistillationData) -> tuple[int, int, int]:
    """Channels, height and width of the inputs: `[C, H, W]`, or `[H * W]` of which the source kept `[H, W]`."""
    shape, raw = data.input_shape, data.pool.raw
    if data.kind == "image" and len(shape) == 3:
        return shape[0], shape[1], shape[2]
    if len(shape) == 1 and raw is not None and raw.ndim == 3 and raw[0].size == shape[0]:
        return 1, raw.shape[1], raw.shape[2]
    raise InputError(
        f"augmentation 'shift': the inputs of data '{data.name}' are {data.kind}s of shape {shape}, which have no "
        "pixels to move; choose augmentation=noise or mixup, or crop for sequences"
    )


def different_moves(pixels: int, copies: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Moves down and right `[copies * n, 2]`, the whole pool once, then again; a row's are all different, none is 0."""
    along = np.arange(-pixels, pixels + 1)
    every = np.stack(np.meshgrid(along, along, indexing="ij"), -1).reshape(-1, 2)
    every = every[(every != 0).any(1)]
    chosen = rng.random((n, len(every))).argsort(1)[:, :copies]
    return every[chosen.T.reshape(-1)]


def moved(images: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Images `[n, H, W]` or `[n, H, W, C]`, each moved down and right by its own `moves` `[n, 2]`."""
    n, height, width = images.shape[:3]
    row = (np.arange(height) - moves[:, :1]).clip(0, height - 1)
    column = (np.arange(width) - moves[:, 1:]).clip(0, width - 1)
    return images[np.arange(n)[:, None, None], row[:, :, None], column[:, None, :]]
