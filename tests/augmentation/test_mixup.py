"""Mixtures lie on the line between two rows, and have a label only where both agree."""

import dataclasses

import numpy as np
import pytest
import torch
from toy_data import vectors

from mtbkd.augmentation.mixup import MixupConfig, mixup, others
from mtbkd.errors import InputError


def share_of(x, one, two):
    """a of x = a one + (1 - a) two, and how far x is from that line."""
    a = ((x - two) * (one - two)).sum(-1) / ((one - two) ** 2).sum(-1)
    return a, (x - (a[:, None] * one + (1 - a[:, None]) * two)).abs().max()


def test_mixtures_lie_between_a_row_and_its_partner():
    data = vectors(400)
    n = len(data.pool)
    rows = mixup(MixupConfig(copies=2, alpha=0.5), data, np.random.default_rng(4))
    again = np.random.default_rng(4)
    partners = np.concatenate([others(n, again), others(n, again)])
    first, second = data.pool.x.repeat(2, 1), data.pool.x[partners]
    a, away = share_of(rows.x, first, second)
    assert float(away) < 1e-5
    assert -1e-5 <= float(a.min()) < 0.01
    assert 0.99 < float(a.max()) <= 1 + 1e-5
    # Beta(1/2, 1/2): mean 1/2, variance 1/8; its square's sd is .125 (kurtosis 1.5), 800 draws.
    assert float(a.mean()) == pytest.approx(0.5, abs=4 * 0.125**0.5 / 800**0.5)
    assert float(a.var()) == pytest.approx(0.125, abs=4 * 0.125 * 0.5**0.5 / 800**0.5)
    expected = torch.where(data.pool.y.repeat(2) == data.pool.y[partners], data.pool.y.repeat(2), -1)
    assert torch.equal(rows.y, expected)
    assert 0.2 < float((rows.y >= 0).float().mean()) < 0.5  # three classes: about a third agree
    np.testing.assert_allclose(rows.raw, rows.x.double().numpy() * [3.0, 0.5] + [10.0, -1.0], atol=1e-4)


def test_labels_by_hand():
    data = vectors(4).with_pool_labels(torch.tensor([2, 2, 1, -1]))
    for seed in range(20):
        rows = mixup(MixupConfig(), data, np.random.default_rng(seed))
        partners = others(4, np.random.default_rng(seed)).tolist()
        said = {frozenset((i, j)): int(rows.y[i]) for i, j in enumerate(partners)}
        assert said.pop(frozenset((0, 1)), 2) == 2
        assert set(said.values()) <= {-1}, "other classes and unlabelled rows leave none"


@pytest.mark.parametrize("n", [2, 3, 7])
def test_nobody_is_their_own_partner(n):
    for seed in range(50):
        partner = others(n, np.random.default_rng(seed))
        assert (partner != np.arange(n)).all()
        assert sorted(partner) == list(range(n))


def test_texts_are_not_mixed():
    data = vectors(raw=np.array(["a text"] * 6))
    assert mixup(MixupConfig(), data, np.random.default_rng(0)).raw is None


def test_what_cannot_be_mixed():
    one = vectors(3)
    one = dataclasses.replace(one, pool=one.pool.take(torch.tensor([0])), teacher_y=one.teacher_y[:1])
    with pytest.raises(InputError, match="the pool has one row"):
        mixup(MixupConfig(), one, np.random.default_rng(0))
    with pytest.raises(InputError, match=r"augmentation\.alpha is 0"):
        MixupConfig(alpha=0)
