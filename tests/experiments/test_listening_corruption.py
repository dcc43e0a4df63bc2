"""Corruptions by hand: a single bright pixel, counts of missing features, the spread of the noise."""

import math

import pytest
import torch

from experiments.listening.corruption import (
    KINDS,
    MISSING,
    NOISE,
    SEVERITIES,
    blurred,
    corrupted,
    noisy,
    without_features,
)
from mtbkd.errors import InputError


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_noise_has_its_standard_deviation():
    x = torch.full((200, 64), 2.0)
    found = noisy(x, 0.5, generator())
    assert found.mean() == pytest.approx(2, abs=0.02)
    assert found.std() == pytest.approx(0.5, rel=0.03)


def test_the_share_of_each_inputs_features_is_missing():
    x = torch.rand(50, 1, 8, 8) + 1
    found = without_features(x, 0.25, generator())
    gone = (found == 0).flatten(1)
    assert (gone.sum(1) == 16).all()
    assert torch.equal(found.flatten(1)[~gone], x.flatten(1)[~gone])
    assert not torch.equal(gone[0], gone[1]), "each input misses others"
    assert torch.equal(without_features(x, 0.0, generator()), x)


def test_a_blurred_pixel_is_the_gaussian():
    x = torch.zeros(1, 1, 9, 9)
    x[0, 0, 4, 4] = 1
    found = blurred(x, 0.5)[0, 0]
    weights = [math.exp(-0.5 * (d / 0.5) ** 2) for d in (-2, -1, 0, 1, 2)]
    share = [w / sum(weights) for w in weights]
    assert found[4, 4] == pytest.approx(share[2] ** 2, rel=1e-5)
    assert found[4, 5] == pytest.approx(share[2] * share[3], rel=1e-5)
    assert found[3, 5] == pytest.approx(share[1] * share[3], rel=1e-5)
    assert found.sum() == pytest.approx(1, rel=1e-5)
    assert found[4, 7] == 0


def test_blur_leaves_a_flat_image_and_keeps_images_and_channels_apart():
    flat = torch.tensor([1.0, -2.0, 3.0, 0.5]).view(2, 2, 1, 1).expand(2, 2, 8, 8)
    for sigma in (0.4, 1.5):
        torch.testing.assert_close(blurred(flat, sigma), flat.clone())


@pytest.mark.parametrize("kind", KINDS)
def test_each_severity_is_worse_than_the_one_before(kind):
    x = torch.randn(40, 1, 8, 8, generator=generator())
    moved = [(corrupted(x, kind, severity, generator()) - x).square().mean() for severity in SEVERITIES]
    assert moved == sorted(moved)
    assert moved[0] > 0
    assert torch.equal(corrupted(x, kind, 3, generator()), corrupted(x, kind, 3, generator()))


def test_what_it_cannot_do_is_told():
    x = torch.zeros(2, 64)
    with pytest.raises(InputError, match=r"blur: inputs of shape \[2, 64\]"):
        corrupted(x, "blur", 1, generator())
    with pytest.raises(InputError, match="severity is 6"):
        corrupted(x, "noise", 6, generator())
    with pytest.raises(InputError, match="corruption: unknown value 'fog'"):
        corrupted(x, "fog", 1, generator())
    assert len(NOISE) == len(MISSING) == len(SEVERITIES)
