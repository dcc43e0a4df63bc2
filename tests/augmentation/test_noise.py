"""Noise has the variance that it says, in the student's units and in raw ones."""

import dataclasses

import numpy as np
import pytest
import torch
from toy_data import pictures, vectors

from mtbkd.augmentation.noise import NoiseConfig, noise
from mtbkd.errors import InputError


def test_noise_is_normal_with_its_scale():
    data = vectors(5000)
    rows = noise(NoiseConfig(copies=2, scale=0.3), data, np.random.default_rng(0))
    e = ((rows.x - data.pool.x.repeat(2, 1)) / 0.3).flatten()
    n = len(e)  # 20,000: standard errors 1 / sqrt(n) of the mean, sqrt(2 / n) of the variance
    assert abs(float(e.mean())) < 4 / n**0.5
    assert float(e.var()) == pytest.approx(1, abs=4 * (2 / n) ** 0.5)
    assert float(e.pow(4).mean()) == pytest.approx(3, abs=4 * (96 / n) ** 0.5)  # normal: kurtosis 3
    halves = e.reshape(2, -1)
    assert abs(float((halves[0] * halves[1]).mean())) < 4 / (n / 2) ** 0.5  # copies are independent


def test_raw_numbers_get_the_same_noise_in_their_units():
    data = vectors(50)
    rows = noise(NoiseConfig(scale=0.2), data, np.random.default_rng(0))
    np.testing.assert_allclose(rows.raw, rows.x.double().numpy() * [3.0, 0.5] + [10.0, -1.0], atol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_raw_pixels_get_the_same_noise(channels):
    data = pictures(40, channels)
    rows = noise(NoiseConfig(scale=0.2), data, np.random.default_rng(0))
    expected = rows.x.permute(0, 2, 3, 1).numpy() * 50 + 100
    np.testing.assert_allclose(rows.raw, expected.reshape(rows.raw.shape), atol=1e-2)
    assert rows.raw.dtype == np.float32


@pytest.mark.parametrize(
    "raw",
    [
        np.array([["a", "b"]] * 6),
        np.array(["a text"] * 6),
        np.exp(vectors().pool.raw / 10),
        np.where(np.arange(12).reshape(6, 2) == 3, np.nan, vectors().pool.raw),
        np.ones((6, 3)),
    ],
    ids=["categories", "texts", "another curve", "gaps", "other columns"],
)
def test_raw_inputs_that_are_not_the_same_numbers_are_no_longer_known(raw):
    assert noise(NoiseConfig(), vectors(raw=raw), np.random.default_rng(0)).raw is None


def test_a_constant_column_keeps_its_unit():
    data = vectors(4, raw=np.array([[5.0, 1.0]] * 4))
    pool = dataclasses.replace(data.pool, x=torch.zeros(4, 2))
    rows = noise(NoiseConfig(), dataclasses.replace(data, pool=pool), np.random.default_rng(0))
    np.testing.assert_allclose(rows.raw, np.add(rows.x.numpy(), [5.0, 1.0]), rtol=1e-6)


def test_features_of_sequences_are_refused():
    data = dataclasses.replace(vectors(), kind="sequence")
    with pytest.raises(InputError, match=r"data 'toy' are features of sequences.*augmentation=crop"):
        noise(NoiseConfig(), data, np.random.default_rng(0))


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_a_scale_that_is_none(scale):
    with pytest.raises(InputError, match=r"augmentation\.scale is"):
        NoiseConfig(scale=scale)
