"""The bank on disk: run once, shared by processes, mended when damaged."""

import json
import multiprocessing
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch

from mtbkd.data.distillation import Rows
from mtbkd.errors import InputError
from mtbkd.teachers import BankCache, TeacherCost
from mtbkd.teachers.cache import ask_all, default_folder
from mtbkd.teachers.teacher import NotCovered, Recipe


def rows(n=6, seed=0, ids=None):
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed))
    index = torch.arange(n)
    return Rows(x, torch.zeros(n, dtype=torch.int64), np.arange(n).astype(str) if ids is None else ids, index)


@dataclass
class Counting:
    """A teacher that counts how often it is asked about all of its rows."""

    name: str = "counting"
    fingerprint: str = "one"
    draws: int = 0
    covers: int = 10**6
    asked: list = field(default_factory=list)

    def predict(self, asked):
        if len(asked) > self.covers:
            raise NotCovered("too many rows")
        self.asked.append(len(asked))
        z = asked.x[:, :2].double().numpy()
        return torch.tensor(np.stack([z + s for s in range(self.draws)]) if self.draws else z)

    def size(self):
        return 5, None


def test_a_teacher_is_asked_once(tmp_path):
    cache, teacher = BankCache(tmp_path), Counting()
    first, cost = cache.ask(teacher, rows())
    again, same_cost = cache.ask(Counting(name="renamed"), rows())
    assert teacher.asked == [6]
    assert torch.equal(first, again)
    torch.testing.assert_close(first, rows().x[None, :, :2])
    assert cost == same_cost
    assert (cost.parameters, cost.stored_bytes, cost.latency_ms) == (5, None, None)
    assert cost.seconds > 0


def test_what_makes_another_question(tmp_path):
    cache, teacher = BankCache(tmp_path), Counting()
    cache.ask(teacher, rows())
    cache.ask(teacher, rows(seed=1))
    cache.ask(teacher, rows(ids=np.array(list("abcdef"))))
    cache.ask(Counting(fingerprint="two", asked=teacher.asked), rows())
    assert teacher.asked == [6] * 4


def test_draws_and_zeros_survive(tmp_path):
    cache = BankCache(tmp_path)
    z, _ = cache.ask(Counting(draws=4), rows())
    assert z.shape == (4, 6, 2)
    assert z.dtype == torch.float32

    class Zeros(Counting):
        def predict(self, asked):
            return torch.tensor([[0.0, -torch.inf]]).repeat(len(asked), 1)

    z, _ = cache.ask(Zeros(fingerprint="zeros"), rows())
    assert torch.equal(cache.ask(Zeros(fingerprint="zeros"), rows())[0], z)
    assert z[0, 0, 1] == -torch.inf


def test_what_is_read_is_a_copy_on_write(tmp_path):
    cache = BankCache(tmp_path)
    cache.ask(Counting(), rows())
    z, _ = cache.ask(Counting(), rows())
    z += 1
    torch.testing.assert_close(cache.ask(Counting(), rows())[0], z - 1)


def entry_of(folder: Path) -> Path:
    return next(path.parent for path in folder.glob("*/manifest.json"))


def test_the_manifest_tells_what_is_there(tmp_path):
    BankCache(tmp_path).ask(Counting(), rows())
    manifest = json.loads((entry_of(tmp_path) / "manifest.json").read_text())
    assert manifest["shape"] == [1, 6, 2]
    assert manifest["teacher"] == "counting"
    assert manifest["rows_hash"] == rows().hash
    assert not list(tmp_path.glob(".writing-*"))


@pytest.mark.parametrize("damage", ["bytes", "truncated", "manifest", "no logits"])
def test_a_damaged_entry_is_made_again_with_a_warning(tmp_path, damage):
    cache, teacher = BankCache(tmp_path), Counting()
    whole = cache.ask(teacher, rows())[0].clone()
    logits, manifest = entry_of(tmp_path) / "logits.npy", entry_of(tmp_path) / "manifest.json"
    if damage == "bytes":
        content = bytearray(logits.read_bytes())
        content[-3] ^= 1
        logits.write_bytes(content)
    elif damage == "truncated":
        logits.write_bytes(logits.read_bytes()[:-8])
    elif damage == "manifest":
        manifest.write_text(manifest.read_text()[:40])
    else:
        logits.unlink()
    with pytest.warns(UserWarning, match="damaged .* made again"):
        assert torch.equal(cache.ask(teacher, rows())[0], whole)
    assert teacher.asked == [6, 6]
    cache.ask(teacher, rows())
    assert teacher.asked == [6, 6]


def _ask(folder, log, barrier, results, who):
    class Slow(Counting):
        def predict(self, asked):
            with open(log, "a") as file:
                file.write(f"{len(asked)}\n")
            time.sleep(0.2)
            return torch.full((len(asked), 2), float(who)) + asked.x[:, :2]

    def train(_progress):
        with open(log, "a") as file:
            file.write("trained\n")
        return Slow()

    teacher = Recipe("slow", "slow", train)
    splits = {"pool": rows(), "test": rows(4, seed=1)}
    barrier.wait()
    found = BankCache(folder).ask_splits(teacher, splits)
    results.put({split: z.numpy().copy() for split, (z, _) in found.items()})


def test_processes_that_ask_at_once_train_and_run_a_teacher_once(tmp_path):
    """Each process would answer something else, so equal answers are one process's answer."""
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(4), context.Queue()
    log = tmp_path / "log"
    arguments = (tmp_path / "bank", log, barrier, results)
    processes = [context.Process(target=_ask, args=(*arguments, who)) for who in range(4)]
    for process in processes:
        process.start()
    found = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(timeout=60)
    assert sorted(log.read_text().split()) == ["4", "6", "trained"]
    for answer in found[1:]:
        for split in ("pool", "test"):
            np.testing.assert_array_equal(answer[split], found[0][split])


def test_a_recipe_is_trained_only_when_something_is_missing(tmp_path):
    trained = []

    def recipe():
        return Recipe("r", "recipe", lambda _: trained.append(1) or Counting())

    cache, splits = BankCache(tmp_path), {"pool": rows(), "test": rows(4)}
    ask_all([recipe()], splits, cache)
    assert len(trained) == 1
    ask_all([recipe()], splits, cache)
    assert len(trained) == 1
    ask_all([recipe()], {**splits, "ood": rows(3)}, cache)
    assert len(trained) == 2


def test_banks_by_split_and_what_is_missing(tmp_path):
    splits = {"pool": rows(), "ood": rows(9, seed=2)}
    teachers = [Counting("a", "a"), Counting("b", "b", draws=3, covers=6)]
    banks, missing = ask_all(teachers, splits, BankCache(tmp_path))
    assert list(banks) == ["pool"]
    assert missing == {"ood": "no bank for ood: b without predictions there"}
    bank = banks["pool"]
    assert bank.names == ("a", "b")
    assert bank.bayesian.tolist() == [False, True]
    assert bank.costs[0].parameters == 5
    bank.check(splits["pool"].x)
    with pytest.raises(InputError, match="another order"):
        bank.check(splits["pool"].x.flip(0))


def test_latency_is_of_single_inputs(tmp_path):
    class Sized(Counting):
        def size(self):
            return 5, 20

    teacher = Sized()
    _, cost = BankCache(tmp_path).ask(teacher, rows())
    assert cost.latency_ms > 0
    assert teacher.asked[0] == 6
    assert set(teacher.asked[1:]) == {1}
    assert cost == TeacherCost(5, 20, cost.latency_ms, cost.seconds)


def test_bad_teachers(tmp_path):
    cache = BankCache(tmp_path)
    with pytest.raises(InputError, match="two teachers are named 'counting'"):
        ask_all([Counting(), Counting()], {"pool": rows()}, cache)
    with pytest.raises(InputError, match="'counting': has no predictions for the pool"):
        ask_all([Counting(covers=3)], {"pool": rows()}, cache)

    class Short(Counting):
        def predict(self, asked):
            return torch.zeros(len(asked) - 1, 2)

    with pytest.raises(InputError, match="returned 5 rows for 6 inputs"):
        cache.ask(Short(fingerprint="short"), rows())

    class Broken(Counting):
        def predict(self, asked):
            return torch.full((len(asked), 2), torch.nan)

    with pytest.raises(InputError, match="teacher 'counting': row 0, class 0 is nan"):
        cache.ask(Broken(fingerprint="broken"), rows())
    assert not list(tmp_path.glob("*/manifest.json"))  # nothing half-written


def test_where_the_bank_lives(tmp_path, monkeypatch):
    monkeypatch.setenv("MTBKD_CACHE", str(tmp_path / "mine"))
    assert BankCache().folder == tmp_path / "mine"
    assert BankCache(tmp_path / "given").folder == tmp_path / "given"
    monkeypatch.delenv("MTBKD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_folder() == tmp_path / "xdg" / "mtbkd"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".cache" / "mtbkd"
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be written .*MTBKD_CACHE"):
        BankCache(tmp_path / "file" / "bank")


# ---- some of the classes -----------------------------------------------------------------------------------------
@dataclass
class Knowing(Counting):
    """It says something of all three classes, and knows two."""

    known: tuple | None = (0, 2)

    def predict(self, asked):
        return torch.cat([super().predict(asked), torch.full((len(asked), 1), 5.0)], 1)


def test_what_a_teacher_does_not_know_is_missing_in_the_bank_and_told_in_the_manifest(tmp_path):
    teachers = [Knowing(), Knowing("whole", "two", known=None)]
    for _ in range(2):  # computed, then read
        banks, _ = ask_all(teachers, {"pool": rows()}, BankCache(tmp_path))
        assert banks["pool"].classes.tolist() == [[True, False, True], [True, True, True]]
        assert (banks["pool"].predictions[0][..., 1] == -torch.inf).all()
        assert torch.isfinite(banks["pool"].predictions[1]).all()
    told = [json.loads(path.read_text())["classes"] for path in tmp_path.glob("*/manifest.json")]
    assert {str(classes) for classes in told} == {"[0, 2]", "None"}
    assert teachers[0].asked == [6]


def test_a_teacher_that_claims_a_class_that_is_none(tmp_path):
    with pytest.raises(InputError, match=r"'counting': says that it knows class 3; there are 0..2"):
        ask_all([Knowing(known=(0, 3))], {"pool": rows()}, BankCache(tmp_path))
