"""Cut sequences, and the inputs that they have."""

import dataclasses

import numpy as np
import pytest
import tiny_runs
import torch
from toy_data import vectors

from mtbkd.augmentation.crop import CropConfig, crop, windows
from mtbkd.data.assembly import standardise
from mtbkd.data.proteins import ProteinsConfig, load
from mtbkd.data.sequence_features import classical_features
from mtbkd.errors import InputError


@pytest.fixture(scope="module")
def proteins(tmp_path_factory):
    return load(ProteinsConfig(path=str(tiny_runs.write_proteins(tmp_path_factory.mktemp("crop")))), 0)


def test_windows_are_parts_of_the_length_asked_for():
    words = np.array(["ABCDEFGHIJ", "ABC", "AB", "A"] * 50)
    cut = windows(words, 0.8, np.random.default_rng(0))
    for word, part in zip(words, cut, strict=True):
        assert part in word
        assert len(part) == {10: 8, 3: 2, 2: 1, 1: 1}[len(word)]
    assert {cut[i] for i in range(0, 200, 4)} == {"ABCDEFGH", "BCDEFGHI", "CDEFGHIJ"}


def test_the_inputs_are_the_sources_own_of_the_cut_sequences(proteins):
    rows = crop(CropConfig(copies=2, keep=0.5), proteins, np.random.default_rng(0))
    pool = proteins.pool
    assert [len(s) for s in rows.raw] == [25] * 2 * len(pool)
    assert all(part in whole for part, whole in zip(rows.raw, np.concatenate([pool.raw] * 2), strict=True))
    # By the other road: features of pool and cut sequences together, standardised on the pool's.
    together = classical_features(np.concatenate([pool.raw, rows.raw]))
    expected = standardise(together, np.arange(len(pool)))
    np.testing.assert_allclose(pool.x, expected[: len(pool)], atol=1e-5)
    np.testing.assert_allclose(rows.x, expected[len(pool) :], atol=1e-5)


@pytest.mark.parametrize(
    "choices",
    [{}, {"treatment": "balanced"}, {"features": "localisation", "treatment": "balanced", "rotate": True}],
    ids=["standard", "balanced", "rotated"],
)
def test_encoding_the_pools_own_sequences_gives_its_inputs(tmp_path, choices):
    data = load(ProteinsConfig(path=str(tiny_runs.write_proteins(tmp_path)), **choices), 0)
    torch.testing.assert_close(data.encode(data.pool.raw), data.pool.x, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(data.encode(data.test.raw[:2]), data.test.x[:2], rtol=1e-4, atol=1e-4)


def test_what_cannot_be_made_anew_is_refused(proteins):
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="data 'toy' are vectors that cannot be made anew"):
        crop(CropConfig(), vectors(), rng)
    with pytest.raises(InputError, match="sequences that cannot be made anew"):
        crop(CropConfig(), dataclasses.replace(proteins, encode=None), rng)


@pytest.mark.parametrize("keep", [0.0, 1.0, -0.5, 1.5])
def test_a_share_that_is_none(keep):
    with pytest.raises(InputError, match="strictly between 0 and 1"):
        CropConfig(keep=keep)
