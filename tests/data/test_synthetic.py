"""Known probabilities: they are the network's as torch computes it, and labels and votes are drawn from them."""

import numpy as np
import pytest
import torch

from mtbkd.data.synthetic import SyntheticConfig, load, true_probs
from mtbkd.errors import InputError


def test_sizes_and_inputs():
    data = load(SyntheticConfig(), 0)
    assert [len(rows) for rows in data.splits.values()] == [200, 100, 100]
    assert (data.pool.y >= 0).sum() == 100
    many = load(SyntheticConfig(pool=40_000, features=2), 0).pool.x
    torch.testing.assert_close(many.mean(0), torch.zeros(2), atol=0.02, rtol=0)
    torch.testing.assert_close(many.T.cov(), torch.eye(2), atol=0.03, rtol=0)


def test_a_linear_truth_is_recovered_from_its_logits():
    config = SyntheticConfig(truth_hidden=[], features=2, classes=3, truth_scale=1.5)
    logits = true_probs(config, 4, torch.cat([torch.zeros(1, 2), torch.eye(2)])).log()
    # Differences of logits are linear: f(e1 + 2 e2) = f(0) + (f(e1) - f(0)) + 2 (f(e2) - f(0)), up to a constant.
    expected = logits[0] + (logits[1] - logits[0]) + 2 * (logits[2] - logits[0])
    found = true_probs(config, 4, torch.tensor([[1.0, 2.0]])).log()[0]
    torch.testing.assert_close(found - found[0], expected - expected[0], atol=1e-10, rtol=0)


@pytest.mark.parametrize(("features", "scale"), [(1, 1.0), (4, 2.0)])
def test_the_truths_logits_have_the_priors_variance(features, scale):
    # A linear truth at x: f_k ~ N(0, scale^2 (1 + |x|^2 / D)), independent over k, so log p_1 - log p_0 has twice that.
    config = SyntheticConfig(truth_hidden=[], features=features, classes=2, truth_scale=scale)
    x = torch.full((1, features), 1.5)
    logs = torch.cat([true_probs(config, seed, x).log() for seed in range(4000)])
    expected = 2 * scale**2 * (1 + 1.5**2)
    assert (logs[:, 1] - logs[:, 0]).var() == pytest.approx(expected, rel=0.1)  # 4.5 standard errors


def test_labels_and_votes_are_drawn_from_the_truth():
    config = SyntheticConfig(pool=30_000, votes=4, labelled_fraction=1.0)
    data = load(config, 1)
    probs = true_probs(config, 1, data.pool.x)
    votes = data.supplied["votes"]["pool"].double().exp()
    onehot = torch.nn.functional.one_hot(data.pool.y, 3).double()
    for drawn, per_row in ((onehot, 1), (votes, 4)):
        deviation = (drawn - probs).sum(0) / ((probs * (1 - probs)).sum(0) / per_row).sqrt()
        assert deviation.abs().max() < 4
    torch.testing.assert_close((4 * votes).round() / 4, votes, atol=1e-6, rtol=0)
    torch.testing.assert_close(votes.sum(1), torch.ones(30_000, dtype=torch.float64))
    # Votes and labels are independent given the truth: no covariance of what is left.
    assert ((votes - probs) * (onehot - probs)).mean(0).abs().max() < 4 / np.sqrt(30_000)


def test_rows_carry_their_truth():
    config = SyntheticConfig()
    data = load(config, 3)
    for part in (data.pool, data.validation, data.test):
        torch.testing.assert_close(part.truth, true_probs(config, 3, part.x), atol=0, rtol=0)
        assert torch.equal(part.take(torch.tensor([4, 1])).truth, part.truth[[4, 1]])


def test_the_truth_belongs_to_the_seed_not_to_the_rows():
    config = SyntheticConfig()
    x = load(config, 0).test.x
    assert torch.equal(true_probs(config, 0, x)[:3], true_probs(config, 0, x[:3]))
    assert not torch.equal(true_probs(config, 0, x), true_probs(config, 1, x))
    torch.testing.assert_close(true_probs(config, 0, x).sum(1), torch.ones(100, dtype=torch.float64))


def test_bad_values_are_named():
    with pytest.raises(InputError, match=r"data\.classes is 1"):
        SyntheticConfig(classes=1)
    with pytest.raises(InputError, match=r"data\.truth_hidden is 0"):
        SyntheticConfig(truth_hidden=[4, 0])
    with pytest.raises(InputError, match=r"data\.truth_activation: unknown value 'silu'"):
        SyntheticConfig(truth_activation="silu")
