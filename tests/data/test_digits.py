"""The default source: sizes, shares and that its out-of-distribution inputs are what they say."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from mtbkd.data.assembly import labelled_only
from mtbkd.data.digits import DigitsConfig, load
from mtbkd.errors import InputError
from mtbkd.teachers.shares import training_rows

SOURCE = load_digits()


def test_sizes_shares_and_values_of_the_default():
    data = load(DigitsConfig(), seed=0)
    assert [len(rows) for rows in data.splits.values()] == [1437, 180, 180, 180]
    assert data.input_shape == (64,)
    assert data.pool.x.dtype == torch.float32
    assert (data.pool.y >= 0).sum() == 287  # round(0.2 * 1437)
    assert (data.teacher_y >= 0).all()
    pool = SOURCE.data[data.pool.index]
    for rows in (data.pool, data.validation, data.test):
        expected = (SOURCE.data[rows.index] - pool.mean()) / pool.std()
        np.testing.assert_allclose(rows.x.numpy(), expected, rtol=1e-4, atol=1e-5)
    assert np.array_equal(data.teacher_y, SOURCE.target[data.pool.index])
    assert np.array_equal(data.test.y, SOURCE.target[data.test.index])
    used = torch.cat([data.pool.index, data.validation.index, data.test.index])
    assert sorted(used.tolist()) == list(range(1797))


def test_every_split_and_the_labels_are_stratified():
    data = load(DigitsConfig(), seed=1)
    for y, size in ((data.pool.y, 287), (data.validation.y, 180), (data.test.y, 180)):
        share = np.bincount(SOURCE.target) / 1797 * size
        assert np.abs(np.bincount(y[y >= 0]) - share).max() < 2  # two roundings: of the split, of the labels


def test_the_seed_decides():
    assert load(DigitsConfig(), 2).pool.hash == load(DigitsConfig(), 2).pool.hash
    assert load(DigitsConfig(), 2).pool.hash != load(DigitsConfig(), 3).pool.hash


def test_image_inputs_are_the_same_pixels():
    flat, image = load(DigitsConfig(), 0), load(DigitsConfig(image=True), 0)
    assert image.input_shape == (1, 8, 8)
    assert image.kind == "image"
    assert torch.equal(image.ood.x.flatten(1), flat.ood.x)
    assert torch.equal(image.pool.x.flatten(1), flat.pool.x)


def test_permuted_digits_keep_grey_levels_and_are_the_same_for_every_seed():
    data, other = load(DigitsConfig(), 0), load(DigitsConfig(), 1)
    assert torch.equal(data.ood.x.sort(1).values, data.test.x.sort(1).values)
    assert not torch.equal(data.ood.x, data.test.x)
    shared = set(data.ood.index.tolist()) & set(other.ood.index.tolist())
    row = min(shared)
    first, second = (d.ood.raw[(d.ood.index == row).numpy()] for d in (data, other))
    assert np.array_equal(first, second)
    assert (data.ood.y == -1).all()
    assert torch.equal(data.ood.index, data.test.index + 1797)


def test_rotated_digits_are_turned_by_90_degrees():
    data = load(DigitsConfig(image=True, ood="rotated"), 0)
    assert torch.equal(data.ood.x, data.test.x.rot90(1, (2, 3)))


def test_none_and_an_empty_test_split_give_no_ood():
    assert load(DigitsConfig(ood="none"), 0).ood is None
    data = load(DigitsConfig(test_fraction=0.0, labelled_fraction=0.0), 0)
    assert set(data.splits) == {"pool", "validation"}
    assert (data.pool.y == -1).all()


def test_bad_values_are_named():
    with pytest.raises(InputError, match=r"unknown value 'permutted'; did you mean 'permuted'\?"):
        DigitsConfig(ood="permutted")
    with pytest.raises(InputError, match=r"labelled_fraction is 1\.5"):
        DigitsConfig(labelled_fraction=1.5)


def test_without_the_unlabelled_rows_the_pool_is_small_and_its_teachers_the_same():
    whole, few = load(DigitsConfig(), 3), load(DigitsConfig(unlabelled=False), 3)
    seen = whole.pool.y >= 0
    assert torch.equal(few.pool.x, whole.pool.x[seen])
    assert torch.equal(few.pool.y, whole.pool.y[seen])
    assert torch.equal(few.teacher_y, few.pool.y)
    assert torch.equal(few.teaching.x, whole.pool.x)
    assert torch.equal(few.teaching.y, whole.teacher_y)
    assert few.test.hash == whole.test.hash
    for share in ([0.0, 0.5], [0.25, 0.75]):
        (x, y), (x_few, y_few) = (training_rows("t", data, share, 3) for data in (whole, few))
        assert torch.equal(x, x_few)
        assert torch.equal(y, y_few)


def test_supplied_predictions_follow_the_rows():
    whole = load(DigitsConfig(), 0)
    draws = torch.arange(2 * 1437 * 10.0).view(2, 1437, 10)
    data = dataclasses.replace(whole, supplied={"t": {"pool": draws, "test": torch.zeros(180, 10)}})
    few = labelled_only(data)
    assert torch.equal(few.supplied["t"]["pool"], draws[:, whole.pool.y >= 0])
    assert few.supplied["t"]["test"].shape == (180, 10)
