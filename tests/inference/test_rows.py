"""Which rows a step sees."""

import torch
from torch import Tensor

from mtbkd.density import Batch, Density
from mtbkd.inference.rows import Shuffle, steps_per_epoch, take
from mtbkd.students import Student, mlp


def density(n: int = 10) -> Density:
    x = torch.arange(n, dtype=torch.float32)[:, None].expand(n, 6) / n
    student = Student(mlp(6, [], 3))
    return Density(student, student.rows((x, torch.arange(n) % 3)))


def rows_of(batch: tuple[Tensor, ...] | None) -> list[int]:
    assert batch is not None
    return (batch[0][:, 0] * 10).round().long().tolist()


def taken(size: int, number: int, seed: int = 0) -> list[Batch]:
    """So many batches one after another."""
    generator, shuffle, found = torch.Generator().manual_seed(seed), Shuffle(), []
    of = density()
    for _ in range(number):
        batch, shuffle = take(shuffle, of, size, generator)
        assert batch is not None
        found.append(batch)
    return found


def test_an_epoch_sees_a_row_once_in_batches_of_one_size():
    found = taken(3, 6)
    epochs = [[row for batch in found[i : i + 3] for row in rows_of(batch)] for i in (0, 3)]
    for epoch in epochs:
        assert len(epoch) == len(set(epoch)) == 9  # one of ten is left out each time
    assert epochs[0] != epochs[1]
    assert all(batch[-1].item() == torch.tensor(10 / 3).item() for batch in found)


def test_over_many_epochs_all_rows_are_seen_alike():
    count = torch.bincount(torch.tensor([rows_of(batch) for batch in taken(3, 300)]).flatten(), minlength=10)
    assert count.sum() == 900
    assert (count - 90).abs().max() <= 15  # each is left out in 10 of 100 epochs, sd 3


def test_the_generator_decides():
    assert rows_of(taken(4, 1, seed=1)[0]) == rows_of(taken(4, 1, seed=1)[0])
    assert rows_of(taken(4, 1, seed=1)[0]) != rows_of(taken(4, 1, seed=2)[0])


def test_the_same_shuffle_and_generator_are_the_same_batch():
    """All that the next batch depends on is in the shuffle, and at an epoch's end in the generator."""
    of, generator = density(), torch.Generator().manual_seed(0)
    _, shuffle = take(Shuffle(), of, 4, generator)
    state = generator.get_state()
    once, last = take(shuffle, of, 4, generator)
    assert torch.equal(generator.get_state(), state)  # within an epoch nothing is drawn
    again, _ = take(shuffle, of, 4, torch.Generator().manual_seed(9))
    assert rows_of(once) == rows_of(again)
    assert last.position == 8
    new, last = take(last, of, 4, generator)  # two rows are left: too few
    assert last.position == 4
    assert not torch.equal(generator.get_state(), state)
    assert len(rows_of(new)) == 4


def test_all_rows_where_none_or_more_are_asked():
    generator = torch.Generator()
    state = generator.get_state()
    for size in (None, 10, 100):
        assert take(Shuffle(), density(), size, generator) == (None, Shuffle())
    assert torch.equal(generator.get_state(), state)


def test_steps_per_epoch():
    assert [steps_per_epoch(density(), size) for size in (None, 1, 3, 10, 64)] == [1, 10, 3, 1, 1]
