"""More inputs to ask the teachers about: named, seeded transforms enlarge the pool; one file a method.

They come before the teachers and never after, so that what a teacher said, cached or not, belongs to the input that
the student sees. An added row is an input like any other: the teachers label it, and the student's label term counts
it only where its method keeps labels. Teachers trained by the run are not trained on added rows, so they are the same
teachers with and without.

Each added row is one more row of the teachers' factor (and, where its label is kept, one more label): N (1 + copies)
rows weigh 1 + copies times as much against the weight prior. `prior.strength` 1 / (1 + copies) compares at equal
strength.
"""

import dataclasses
from typing import Any

import numpy as np
import torch

from mtbkd.augmentation.added_rows import joined
from mtbkd.data.distillation import DistillationData, Rows
from mtbkd.registry import find

_STREAM = 3  # of the seed, after those of data/splits.py and data/labels.py


def augment(config: Any, data: DistillationData, seed: int) -> DistillationData:
    """The data with the rows that the method whose configuration `config` is adds to the pool, after its own.

    Raises `InputError` where the method does not know this kind of inputs.
    """
    name = type(config).__module__.rpartition(".")[2]
    method = getattr(find("augmentation", name), name)
    added: Rows = method(config, data, np.random.default_rng([seed, _STREAM]))
    if not len(added):
        return data
    unknown = torch.full((len(added),), -1, dtype=data.teacher_y.dtype)
    return dataclasses.replace(
        data, pool=joined(data.pool, added), teacher_y=torch.cat([data.teacher_y, unknown])
    )
