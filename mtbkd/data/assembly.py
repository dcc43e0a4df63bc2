"""From all rows of a source to one distillation problem."""

from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from mtbkd.data.distillation import DistillationData, Rows
from mtbkd.data.labels import visible_labels
from mtbkd.data.splits import Split
from mtbkd.errors import InputError


def standardise(x: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """`x` `[n, D]` less the column means of its rows `pool`, over their standard deviations; float32.

    A column that is constant in the pool is only centred.
    """
    from sklearn.preprocessing import StandardScaler

    x = np.asarray(x, np.float64)
    return StandardScaler().fit(x[pool]).transform(x).astype(np.float32)


def standardise_channels(images: np.ndarray, pool: np.ndarray) -> Tensor:
    """Images `[n, H, W]` or `[n, H, W, C]` as `[n, C, H, W]` float32, each channel standardised on the rows `pool`."""
    channels_last = torch.from_numpy(images[..., None] if images.ndim == 3 else images)
    x = channels_last.permute(0, 3, 1, 2).to(torch.float32, copy=True).contiguous()
    deviation, mean = torch.std_mean(x[torch.from_numpy(pool)], dim=(0, 2, 3), correction=0, keepdim=True)
    return x.sub_(mean).div_(torch.where(deviation > 0, deviation, 1.0))


def assemble(
    name: str,
    rows: Rows,
    split: Split,
    class_names: tuple[str, ...],
    labelled_fraction: float,
    seed: int,
    kind: Literal["vector", "image", "sequence"] = "vector",
    supplied: dict[str, dict[str, Tensor]] | None = None,
) -> DistillationData:
    """The rows of each part; a stratified share of the pool's labels stays visible to the student.

    Raises `InputError` for an unlabelled validation or test row, and for two rows with the same id.
    """
    ids, counts = np.unique(rows.ids, return_counts=True)
    if (counts > 1).any():
        raise InputError(
            f"data '{name}': id '{ids[counts > 1][0]}' names several rows; give each row its own"
        )
    parts = {
        part: rows.take(torch.from_numpy(getattr(split, part))) for part in ("pool", "validation", "test")
    }
    for part in ("validation", "test"):
        unlabelled = (parts[part].y < 0).nonzero().flatten()
        if len(unlabelled):
            raise InputError(
                f"data '{name}': {part} row '{parts[part].ids[unlabelled[0]]}' has no label; "
                "label it or move it to the pool"
            )
    data = DistillationData(
        name=name,
        pool=parts["pool"],
        validation=parts["validation"],
        test=parts["test"],
        class_names=class_names,
        teacher_y=parts["pool"].y,
        ood=_unlabelled(rows.take(torch.from_numpy(split.ood))) if len(split.ood) else None,
        kind=kind,
        supplied=supplied or {},
    )
    visible = visible_labels(data.teacher_y.numpy(), labelled_fraction, class_names, seed)
    return data.with_pool_labels(torch.from_numpy(visible))


def labelled_only(data: DistillationData) -> DistillationData:
    """The same problem without the pool's rows whose label the student does not see; teachers still learn from all."""
    seen = (data.pool.y >= 0).nonzero().flatten()
    supplied = {
        name: {split: z[..., seen, :] if split == "pool" else z for split, z in said.items()}
        for name, said in data.supplied.items()
    }
    return replace(
        data,
        pool=data.pool.take(seen),
        teacher_y=data.teacher_y[seen],
        teaching=replace(data.pool, y=data.teacher_y),
        supplied=supplied,
    )


def _unlabelled(rows: Rows) -> Rows:
    return replace(rows, y=torch.full_like(rows.y, -1))
