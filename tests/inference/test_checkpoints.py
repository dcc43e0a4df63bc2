"""States are kept and found again as they were; arrays lie on disk."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from mtbkd.errors import InputError
from mtbkd.inference import checkpoints as module
from mtbkd.inference.checkpoints import Checkpoints


@dataclass(frozen=True)
class Inner:
    theta: Tensor
    rate: float
    step: int | None


@dataclass(frozen=True)
class State:
    inner: Inner
    pair: tuple[Tensor, float]
    many: tuple[int, ...]
    moving: bool
    name: str
    absent: Tensor | None


def state(**changes) -> State:
    theta = torch.tensor([[0.1, float("-inf")], [3.0, -0.0]], dtype=torch.float64)
    inner = Inner(theta, 1 / 3, None)
    return State(inner, (theta, float("inf")), (1, 2, 3), True, "é", None)


def test_a_state_comes_back_to_the_bit(tmp_path):
    generator = torch.Generator().manual_seed(3)
    torch.randn(7, generator=generator)
    kept = Checkpoints(generator, tmp_path)
    kept.keep(state(), 5)
    expected = torch.randn(4, generator=generator)

    other = torch.Generator().manual_seed(99)
    found = Checkpoints(other, tmp_path)
    restored = found.restore(State)
    assert restored is not None
    assert found.resumed_from == 5
    assert torch.equal(torch.randn(4, generator=other), expected)
    assert torch.equal(restored.inner.theta, state().inner.theta)
    assert torch.signbit(restored.inner.theta[1, 1])
    assert restored.inner.theta.dtype == torch.float64
    assert (restored.inner.rate, restored.inner.step) == (1 / 3, None)
    assert torch.equal(restored.pair[0], state().pair[0])
    assert restored.pair[1] == float("inf")
    assert (restored.many, restored.moving, restored.name, restored.absent) == ((1, 2, 3), True, "é", None)


def test_nothing_is_kept_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain = Checkpoints(torch.Generator())
    plain.offer(state(), 10, 10)
    assert plain.restore(State) is None
    assert plain.part("engine").folder is None
    assert list(tmp_path.iterdir()) == []
    assert torch.equal(plain.array("theta", (2, 3), torch.float32), torch.zeros(2, 3))


def test_kept_every_twentieth_of_the_run_or_ten_seconds(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    kept: list[int] = []
    checkpoints = Checkpoints(torch.Generator(), tmp_path)
    inner = Checkpoints.keep
    monkeypatch.setattr(Checkpoints, "keep", lambda self, s, step: (kept.append(step), inner(self, s, step)))
    for step in range(1, 61):
        checkpoints.offer(state(), step, 1000)
        if step == 20:
            now[0] = 9.9
        if step == 30:
            now[0] = 10.1
    assert kept == [31]
    now[0] = 11.0
    for step in range(61, 1001):
        checkpoints.offer(state(), step, 1000)
    assert kept[1:4] == [81, 131, 181]
    assert kept[-1] == 1000


def test_arrays_are_files_that_the_next_run_finds(tmp_path):
    checkpoints = Checkpoints(torch.Generator(), tmp_path)
    theta = checkpoints.array("theta", (2, 4, 3), torch.float32)
    theta[:, 1] = torch.arange(6.0).view(2, 3)
    checkpoints.keep(state(), 2)
    on_disk = np.load(tmp_path / "theta.npy", allow_pickle=False)
    assert on_disk.dtype == np.float32
    assert on_disk[1, 1].tolist() == [3.0, 4.0, 5.0]

    again = Checkpoints(torch.Generator(), tmp_path)
    again.restore(State)
    assert torch.equal(again.array("theta", (2, 4, 3), torch.float32), theta)
    with pytest.raises(InputError, match=r"holds float32 \(2, 4, 3\), this run writes float32 \(2, 5, 3\)"):
        again.array("theta", (2, 5, 3), torch.float32)
    new = Checkpoints(torch.Generator(), tmp_path)  # not restored: a new run, which overwrites
    assert not new.array("theta", (2, 5, 3), torch.float32).any()


def test_a_kill_while_writing_leaves_the_last_state(tmp_path, monkeypatch):
    checkpoints = Checkpoints(torch.Generator(), tmp_path)
    checkpoints.keep(state(), 1)

    def broken(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(module, "save_file", broken)
    with pytest.raises(OSError, match="disk full"):
        checkpoints.keep(state(), 2)
    monkeypatch.undo()
    again = Checkpoints(torch.Generator(), tmp_path)
    assert again.restore(State) is not None
    assert again.resumed_from == 1


def test_another_kind_of_state_is_refused(tmp_path):
    Checkpoints(torch.Generator(), tmp_path).keep(Inner(torch.zeros(1), 1.0, 1), 1)
    with pytest.raises(InputError, match="is damaged or of another version"):
        Checkpoints(torch.Generator(), tmp_path).restore(State)


def test_a_state_holds_no_code(tmp_path):
    with pytest.raises(TypeError, match=r"\.inner is function"):
        module.pack(State(lambda: None, (torch.zeros(1), 0.0), (), True, "", None), "", {})  # type: ignore[arg-type]
