"""The pool grows before the teachers are asked, and nothing else changes."""

import json

import numpy as np
import pytest
import tiny_runs
import torch
from toy_data import pictures, vectors

from mtbkd.augmentation import augment
from mtbkd.augmentation.mixup import MixupConfig
from mtbkd.augmentation.noise import NoiseConfig
from mtbkd.augmentation.shift import ShiftConfig
from mtbkd.data.distillation import hash_inputs
from mtbkd.errors import InputError
from mtbkd.pipeline import run
from mtbkd.problem import ask, prepare
from mtbkd.progress import Progress
from mtbkd.run_directory import RunDirectory
from mtbkd.teachers import TorchTeacher

CONFIGS = [ShiftConfig(copies=2), NoiseConfig(copies=2), MixupConfig(copies=2)]
KEPT = [ShiftConfig(copies=2, labels="keep"), NoiseConfig(copies=2, labels="keep")]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: type(c).__name__)
def test_the_same_seed_adds_the_same_rows(config):
    data = pictures()
    one, same, other = (augment(config, data, seed) for seed in (3, 3, 4))
    assert one.pool.hash == same.pool.hash != other.pool.hash
    np.testing.assert_array_equal(one.pool.raw, same.pool.raw)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: type(c).__name__)
def test_added_rows_come_after_the_pools_and_have_names_but_no_number(config):
    data = pictures()
    n = len(data.pool)
    found = augment(config, data, 0)
    name = type(config).__name__.removesuffix("Config").lower()
    assert len(found.pool) == len(found.teacher_y) == n * (1 + config.copies)
    torch.testing.assert_close(found.pool.x[:n], data.pool.x)
    assert torch.equal(found.pool.y[:n], data.pool.y)
    assert torch.equal(found.teacher_y[:n], data.teacher_y)
    assert set(found.teacher_y[n:].tolist()) == {-1}
    assert found.pool.made.tolist() == [False] * n + [True] * 2 * n
    assert found.pool.ids[[n, 2 * n + 3]].tolist() == [f"0+{name}1", f"3+{name}2"]
    assert len(set(found.pool.ids.tolist())) == 3 * n
    assert found.pool.raw.shape == (3 * n, 8, 8)
    assert (found.test, found.validation) == (data.test, data.validation)


@pytest.mark.parametrize("config", KEPT, ids=lambda c: type(c).__name__)
def test_labels_are_dropped_or_kept(config):
    data = pictures()
    kept = augment(config, data, 0).pool.y
    assert kept.tolist() == data.pool.y.tolist() * 3
    dropped = augment(type(config)(copies=2), data, 0).pool.y
    assert dropped.tolist() == [*data.pool.y.tolist(), *[-1] * 2 * len(data.pool)]
    with pytest.raises(InputError, match=r"augmentation\.labels: unknown value 'kept'; did you mean 'keep'"):
        type(config)(labels="kept")
    with pytest.raises(InputError, match=r"augmentation\.copies is 0"):
        type(config)(copies=0)


def test_raw_inputs_that_cannot_follow_are_dropped_for_the_whole_pool():
    found = augment(MixupConfig(), vectors(raw=np.array(["a text"] * 6)), 0)
    assert found.pool.raw is None
    teacher = TorchTeacher("net", torch.nn.Linear(2, 3), inputs="raw")
    with pytest.raises(
        InputError, match=r"teacher 'net': these data keep no raw inputs.*after their augmentation"
    ):
        teacher.predict(found.pool)


TRAINED = [
    "teachers.members={forest: {kind: estimator, params: {n_estimators: 5}, share: [0.0, 0.6]}, "
    "nets: {kind: ensemble, members: 2, hidden: [4], epochs: 3, share: [0.4, 1.0]}}"
]


def trained_words(folder) -> list[str]:
    """A tiny run on the table with teachers that it trains itself."""
    kept = [
        word for word in tiny_runs.tiny_overrides(folder) if not word.startswith(("teachers", "+teachers"))
    ]
    return [
        *kept,
        "teachers=table_trio",
        "~teachers.members",
        f"+{TRAINED[0]}",
        f"teachers.cache={folder / 'cache'}",
    ]


def test_teachers_that_the_run_trains_are_the_same_with_and_without(tmp_path):
    words = trained_words(tmp_path)
    plain, more = (tiny_runs.resolved(*words, w) for w in ("augmentation=none", "augmentation=noise"))
    without, enlarged = prepare(plain), prepare(more)
    assert [t.fingerprint for t in without.teachers] == [t.fingerprint for t in enlarged.teachers]
    n = len(without.data.pool)
    before, after = (ask(c, i, Progress()).banks for c, i in ((plain, without), (more, enlarged)))
    for m in range(2):
        said, again = before["pool"].predictions[m], after["pool"].predictions[m]
        assert again.shape[1] == 2 * n
        # Matrix products of other sizes round otherwise.
        torch.testing.assert_close(again[:, :n], said, rtol=1e-5, atol=1e-5)
        assert not torch.allclose(again[:, n:], said)
        torch.testing.assert_close(after["test"].predictions[m], before["test"].predictions[m])


def test_the_teachers_are_asked_about_exactly_these_inputs(tmp_path):
    config = tiny_runs.resolved(*trained_words(tmp_path), "augmentation=mixup", "augmentation.copies=2")
    ingredients = prepare(config)
    problem = ask(config, ingredients, Progress())
    assert problem.banks["pool"].rows_hash == hash_inputs(ingredients.data.pool.x)
    problem.banks["pool"].check(problem.data.pool.x)
    assert problem.banks["pool"].num_rows == len(problem.data.pool) == 3 * 48
    forest = ingredients.teachers[0].predict(problem.data.pool)
    torch.testing.assert_close(problem.banks["pool"].predictions[0][0], forest)
    with pytest.raises(InputError, match="rows in another order"):
        problem.banks["pool"].check(problem.data.pool.x.flip(0))


def test_a_run_tells_how_many_rows_were_added(tmp_path, monkeypatch):
    monkeypatch.setattr("mtbkd.report.page.render", lambda content: str(dict(content.facts)))
    words = [*trained_words(tmp_path), "augmentation=noise", "augmentation.labels=keep", "baseline=none"]
    run(tiny_runs.resolved(*words), RunDirectory(tmp_path / "run"), "mtbkd")
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["pool"] == {"rows": 96, "labelled": 48, "made_by_augmentation": 48}
    page = (tmp_path / "run" / "report.html").read_text()
    assert "96 in the pool, 48 of them made by augmentation, 48 labelled" in page
    assert "noise, copies 1, scale 0.1, labels keep" in page


@pytest.mark.parametrize("matched", ["number", "id"])
def test_predictions_on_disk_refuse_rows_that_they_cannot_know(tmp_path, matched):
    words = tiny_runs.tiny_overrides(tmp_path)
    if matched == "id":
        with np.load(tmp_path / "sharp.npz") as file:
            logits = file["logits"]
        ids = np.concatenate([np.arange(60).astype(str), np.char.add(np.arange(60).astype(str), "+noise1")])
        np.savez(tmp_path / "sharp.npz", logits=np.concatenate([logits, logits]), ids=ids)
    config = tiny_runs.resolved(*words, "augmentation=noise")
    with pytest.raises(
        InputError, match=r"teacher 'first'.* augmentation made 48 others; choose augmentation=none"
    ):
        prepare(config)


def test_predictions_with_the_hash_of_exactly_these_inputs_are_taken(tmp_path):
    words = tiny_runs.tiny_overrides(tmp_path)
    table = prepare(tiny_runs.resolved(*words)).data
    noisy = augment(NoiseConfig(), table, 0)
    files = {}
    for split, rows in noisy.splits.items():
        path = tmp_path / f"{split}.npz"
        logits = np.random.default_rng(0).normal(size=(len(rows), 3))
        np.savez(path, logits=logits, inputs_hash=np.array(rows.hash))
        files[split] = str(path)
    text = ", ".join(f"{split}: '{path}'" for split, path in files.items())
    members = f"+teachers.members={{exact: {{kind: predictions, path: {{{text}}}, values: logits}}}}"
    kept = [word for word in words if not word.startswith(("teachers.members", "+teachers.members"))]
    chosen = [*kept, "~teachers.members", members, "augmentation=noise"]
    assert len(prepare(tiny_runs.resolved(*chosen)).data.pool) == 96
    with pytest.raises(InputError, match="augmentation made 48 others"):
        prepare(tiny_runs.resolved(*chosen, "augmentation.scale=0.2"))


def test_predictions_that_came_with_the_data_refuse_too(tmp_path):
    words = ["data=proteins", f"data.path={tiny_runs.write_proteins(tmp_path)}", "teachers=supplied"]
    with pytest.raises(InputError, match=r"teacher 'a': stored predictions .* made 27 others"):
        prepare(tiny_runs.resolved(*words, "augmentation=crop", f"teachers.cache={tmp_path / 'cache'}"))
