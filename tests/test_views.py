"""Teachers that are shown other inputs of the same rows: each its own columns, images for a student of vectors."""

import dataclasses

import numpy as np
import pytest
import skops.io
import torch
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import StandardScaler
from torch import nn

from mtbkd.augmentation import augment
from mtbkd.augmentation.noise import NoiseConfig
from mtbkd.data.digits import DigitsConfig
from mtbkd.data.digits import load as load_digits
from mtbkd.data.table import TableConfig, load
from mtbkd.errors import InputError
from mtbkd.teachers import BankCache, TeachersConfig, TorchTeacher, ask_all, build_teachers

ROWS = 80
VIEWS = {"left": ["a", "b"], "right": ["d", "c"]}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """`a`, `b` tell class 0 from the rest, `c` tells 1 from 2; `note` is text; the student sees `b` alone."""
    rng = np.random.default_rng(0)
    y = np.arange(ROWS) % 3
    x = rng.normal(size=(ROWS, 4)) + 6 * np.stack([y == 0, 0 * y, y == 1, 0 * y], 1)
    lines = [
        ",".join([*(f"{v:.4f}" for v in row), f"word{k} of it", "xyz"[k]])
        for row, k in zip(x, y, strict=True)
    ]
    path = tmp_path_factory.mktemp("table") / "t.csv"
    path.write_text("\n".join(["a,b,c,d,note,label", *lines]) + "\n")
    return path, x, y


def loaded(path, **settings):
    return load(
        TableConfig(**({"path": str(path), "target": "label", "columns": ["b"], "views": VIEWS} | settings)),
        0,
    )


def asked(data, members, folder):
    teachers = build_teachers(TeachersConfig(members=members), data, 0)
    return ask_all(teachers, data.splits, BankCache(folder))[0]


NB = {"kind": "estimator", "estimator": "gaussian_nb"}


# ---- the data ------------------------------------------------------------------------------------------------------
def test_views_are_standardised_columns_of_the_same_rows(table):
    path, x, _ = table
    data = loaded(path)
    assert data.input_shape == (1,)
    scaler = StandardScaler().fit(x[data.pool.index])
    for rows in data.splits.values():
        expected = scaler.transform(x[rows.index])
        np.testing.assert_allclose(rows.x, expected[:, [1]], atol=2e-4)
        np.testing.assert_allclose(rows.views["left"], expected[:, [0, 1]], atol=2e-4)
        np.testing.assert_allclose(rows.views["right"], expected[:, [3, 2]], atol=2e-4)
    assert data.pool.raw.shape[1] == 1
    some = data.pool.take(torch.tensor([5, 2]))
    assert torch.equal(some.views["right"], data.pool.views["right"][[5, 2]])


def test_text_may_be_for_teachers_alone(table):
    path = table[0]
    data = loaded(path, text_column="note", views={"words": ["note"], "left": ["a"]})
    assert data.input_shape == (1,)
    assert data.pool.views["words"].shape[1] == 5  # word0, word1, word2, of, it
    assert data.pool.views["left"].shape[1] == 1
    assert loaded(path, text_column="note", views={"left": ["a"]}).input_shape == (6,)


def test_rows_out_of_distribution_have_the_views_too(table, tmp_path):
    path, x, _ = table
    other = tmp_path / "ood.csv"
    other.write_text("a,b,c,d\n1,2,3,4\n")
    data = loaded(path, ood_path=str(other))
    expected = StandardScaler().fit(x[data.pool.index]).transform([[1, 2, 3, 4]])
    np.testing.assert_allclose(data.ood.views["right"], expected[:, [3, 2]], atol=2e-4)
    other.write_text("a,b,c\n1,2,3\n")
    with pytest.raises(InputError, match="no column 'd'"):
        loaded(path, ood_path=str(other))


@pytest.mark.parametrize(
    ("views", "message"),
    [
        ({"left": ["a", "aa"]}, r"data.views.left: no column 'aa'.*did you mean 'a'"),
        ({"left": ["label"]}, "data.views.left: 'label' is the target"),
        ({"left": []}, "no feature column"),
    ],
)
def test_views_of_columns_that_are_none(table, views, message):
    with pytest.raises(InputError, match=message):
        loaded(table[0], views=views)


# ---- the teachers --------------------------------------------------------------------------------------------------
def test_two_teachers_see_disjoint_columns(table, tmp_path):
    path, x, y = table
    data = loaded(path)
    bank = asked(data, {side: NB | {"view": side} for side in VIEWS}, tmp_path)["test"]
    scaler = StandardScaler().fit(x[data.pool.index])
    for said, columns in zip(bank.mean_probs(), ([0, 1], [3, 2]), strict=True):
        inputs = scaler.transform(x)[:, columns].astype(np.float32)
        own = GaussianNB().fit(inputs[data.pool.index], y[data.pool.index])
        np.testing.assert_allclose(said, own.predict_proba(inputs[data.test.index]), atol=2e-3)
    left, right = bank.probs
    test = torch.from_numpy(y)[data.test.index]
    assert ((left[:, 0] > 0.5) == (test == 0)).all()
    assert ((right[:, 1] > 0.5) == (test == 1)).all()


def test_the_view_and_what_it_holds_make_another_question(table, tmp_path):
    data = loaded(table[0])
    members = {"t": NB | {"view": "left"}}
    prints = {
        build_teachers(TeachersConfig(members={"t": NB | view}), data, 0)[0].fingerprint
        for view in ({}, {"view": "left"}, {"view": "right"})
    }
    assert len(prints) == 3
    before = asked(data, members, tmp_path)["pool"]
    net = TorchTeacher("net", nn.Linear(2, 3), view="left")
    first = ask_all([net], {"pool": data.pool}, BankCache(tmp_path))[0]["pool"]
    turned = data.pool.views | {"left": data.pool.views["left"].flip(-1)}
    other = dataclasses.replace(data, pool=dataclasses.replace(data.pool, views=turned))
    assert other.pool.hash == data.pool.hash
    second = ask_all([net], {"pool": other.pool}, BankCache(tmp_path))[0]["pool"]
    torch.testing.assert_close(first.predictions[0][0], net.module(data.pool.views["left"]).detach())
    torch.testing.assert_close(second.predictions[0][0], net.module(turned["left"]).detach())
    torch.testing.assert_close(asked(other, members, tmp_path)["pool"].probs, before.probs)  # trained anew


def test_convolutions_teach_a_student_of_vectors(tmp_path):
    data = load_digits(DigitsConfig(ood="none"), 0)
    assert data.input_shape == (64,)
    assert data.pool.views["image"].shape[1:] == (1, 8, 8)
    assert torch.equal(data.pool.views["image"].flatten(1), data.pool.x)
    cnn = {
        "kind": "ensemble",
        "network": "cnn",
        "members": 1,
        "channels": [8],
        "hidden": [16],
        "view": "image",
    }
    member = cnn | {"epochs": 6, "learning_rate": 0.01}
    bank = asked(data, {"cnn": member}, tmp_path)["test"]
    assert (bank.mean_probs()[0].argmax(-1) == data.test.y).float().mean() > 0.85
    assert bank.rows_hash == data.test.hash


def test_a_fitted_model_is_shown_its_view(table, tmp_path):
    data = loaded(table[0])
    fitted = GaussianNB().fit(data.pool.views["right"].numpy(), np.array(data.class_names)[data.teacher_y])
    skops.io.dump(fitted, tmp_path / "nb.skops")
    member = {"kind": "skops_file", "path": str(tmp_path / "nb.skops"), "view": "right"}
    bank = asked(data, {"nb": member}, tmp_path)["test"]
    expected = fitted.predict_proba(data.test.views["right"].numpy())
    np.testing.assert_allclose(bank.probs[0], expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["estimator", "ensemble"])
def test_an_unknown_view_is_refused_before_training(table, kind):
    with pytest.raises(InputError, match="teacher 't': the data have no view 'lift'; did you mean 'left'"):
        build_teachers(TeachersConfig(members={"t": {"kind": kind, "view": "lift"}}), loaded(table[0]), 0)


def test_a_view_has_no_raw_inputs_and_augmented_rows_no_view(table):
    data = loaded(table[0])
    with pytest.raises(InputError, match="view 'left' has no raw inputs"):
        TorchTeacher("t", nn.Linear(2, 3), inputs="raw", view="left").predict(data.pool)
    more = augment(NoiseConfig(), data, 0)
    with pytest.raises(
        InputError, match="have no view 'left'; there is none, and augmented rows never have one"
    ):
        TorchTeacher("t", nn.Linear(2, 3), view="left").predict(more.pool)
