"""Moved pictures, by hand."""

import dataclasses

import numpy as np
import pytest
import torch
from toy_data import pictures, vectors

from mtbkd.augmentation.shift import ShiftConfig, different_moves, moved, picture_shape, shift
from mtbkd.errors import InputError

SQUARE = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]])


@pytest.mark.parametrize(
    ("move", "expected"),
    [
        ((1, 0), [[1, 2, 3], [1, 2, 3], [4, 5, 6]]),
        ((0, -1), [[2, 3, 3], [5, 6, 6], [8, 9, 9]]),
        ((-1, 1), [[4, 4, 5], [7, 7, 8], [7, 7, 8]]),
        ((2, 2), [[1, 1, 1], [1, 1, 1], [1, 1, 1]]),
    ],
)
def test_a_square_of_three(move, expected):
    np.testing.assert_array_equal(moved(SQUARE[None], np.array([move]))[0], expected)


def test_each_picture_has_its_own_move_and_channels_move_together():
    coloured = np.stack([SQUARE, 10 * SQUARE], -1)
    found = moved(np.stack([coloured, coloured]), np.array([[0, 0], [1, 0]]))
    np.testing.assert_array_equal(found[0], coloured)
    np.testing.assert_array_equal(found[1, :, :, 1], 10 * np.array([[1, 2, 3], [1, 2, 3], [4, 5, 6]]))


def test_copies_of_a_row_move_differently_and_always():
    moves = different_moves(1, 8, 5, np.random.default_rng(0)).reshape(8, 5, 2)
    for row in range(5):  # eight copies are all the eight moves there are
        assert len({tuple(move) for move in moves[:, row].tolist()}) == 8
        assert (moves[:, row] != 0).any(1).all()


def test_every_move_is_as_likely():
    moves = different_moves(1, 1, 40_000, np.random.default_rng(0))
    counts = np.unique(moves, axis=0, return_counts=True)[1]
    assert len(counts) == 8
    np.testing.assert_allclose(counts / 40_000, 1 / 8, atol=0.007)  # 4 standard errors


@pytest.mark.parametrize("channels", [1, 3])
def test_raw_and_standardised_pixels_move_alike(channels):
    data = pictures(channels=channels)
    mean, sd = 100.0, 50.0
    rows = shift(ShiftConfig(copies=2), data, np.random.default_rng(1))
    back = rows.x.permute(0, 2, 3, 1).numpy() * sd + mean
    np.testing.assert_allclose(back.reshape(rows.raw.shape), rows.raw, atol=1e-3)
    assert rows.raw.dtype == np.uint8
    assert rows.x.shape == (2 * len(data.pool), channels, 8, 8)
    assert not torch.equal(rows.x[: len(data.pool)], data.pool.x)


def test_digits_as_vectors_are_pictures_of_which_the_source_kept_the_shape():
    flat = pictures(flat=True)
    assert picture_shape(flat) == (1, 8, 8)
    as_images = shift(ShiftConfig(), pictures(), np.random.default_rng(3))
    as_vectors = shift(ShiftConfig(), flat, np.random.default_rng(3))
    torch.testing.assert_close(as_vectors.x, as_images.x.flatten(1))


def test_what_has_no_pixels_is_refused():
    with pytest.raises(InputError, match=r"data 'toy' are vectors of shape \(2,\).*augmentation=noise"):
        shift(ShiftConfig(), vectors(), np.random.default_rng(0))
    no_shape = pictures(flat=True)
    no_shape = dataclasses.replace(no_shape, pool=dataclasses.replace(no_shape.pool, raw=None))
    with pytest.raises(InputError, match="no pixels to move"):
        shift(ShiftConfig(), no_shape, np.random.default_rng(0))


def test_moves_larger_than_the_picture_and_more_copies_than_moves():
    with pytest.raises(InputError, match="pixels is 8, the pictures are 8 x 8"):
        shift(ShiftConfig(pixels=8), pictures(), np.random.default_rng(0))
    with pytest.raises(InputError, match="copies is 9, but there are 8 moves by up to 1 pixels"):
        ShiftConfig(copies=9)
    with pytest.raises(InputError, match=r"augmentation\.pixels is 0"):
        ShiftConfig(pixels=0)
