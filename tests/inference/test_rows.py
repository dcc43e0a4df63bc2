"""Which rows a step sees."""

from itertools import islice

import torch
from torch import Tensor

from mtbkd.density import Density
from mtbkd.inference.rows import batches, steps_per_epoch
from mtbkd.students import Student, mlp


def density(n: int = 10) -> Density:
    x = torch.arange(n, dtype=torch.float32)[:, None].expand(n, 6) / n
    student = Student(mlp(6, [], 3))
    return Density(student, student.rows((x, torch.arange(n) % 3)))


def rows_of(batch: tuple[Tensor, ...]) -> list[int]:
    return (batch[0][:, 0] * 10).round().long().tolist()


def test_an_epoch_sees_a_row_once_in_batches_of_one_size():
    found = list(islice(batches(density(), 3, torch.Generator().manual_seed(0)), 6))
    epochs = [[row for batch in found[i : i + 3] for row in rows_of(batch)] for i in (0, 3)]
    for epoch in epochs:
        assert len(epoch) == len(set(epoch)) == 9  # one of ten is left out each time
    assert epochs[0] != epochs[1]
    assert all(batch[-1].item() == torch.tensor(10 / 3).item() for batch in found)


def test_the_generator_decides():
    def first(seed: int) -> list[int]:
        return rows_of(next(batches(density(), 4, torch.Generator().manual_seed(seed))))

    assert first(1) == first(1)
    assert first(1) != first(2)


def test_all_rows_where_none_or_more_are_asked():
    for size in (None, 10, 100):
        batch = next(batches(density(), size, torch.Generator()))
        assert rows_of(batch) == list(range(10))
        assert batch[-1].item() == 1.0


def test_steps_per_epoch():
    assert [steps_per_epoch(density(), size) for size in (None, 1, 3, 10, 64)] == [1, 10, 3, 1, 1]
