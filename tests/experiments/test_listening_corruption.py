"""Corruptions by hand: a single bright pixel, counts of missing features, the spread of the noise."""

import json
import math

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from experiments.listening import shift
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
from experiments.listening.sweeps import Run
from mtbkd import registry
from mtbkd.data.digits import DigitsConfig
from mtbkd.errors import InputError
from mtbkd.prediction import Prediction


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


def test_teachers_are_shown_the_same_images(tmp_path):
    """They say of each what scikit-learn's own classifier says."""
    data = registry.find("data", "digits").load(DigitsConfig(), 3)
    member = {"kind": "estimator", "estimator": "knn", "share": [0.0, 1.0]}
    teachers = {"name": "one", "members": {"neighbours": member}, "cache": str(tmp_path)}
    run = Run(tmp_path, {"seed": "3"})
    (tmp_path / "run.json").write_text(json.dumps({"config": {"seed": 3, "teachers": teachers}}))
    said = shift.teachers_at(run, data)
    assert set(said) == {(kind, severity) for kind in KINDS for severity in (0, *SEVERITIES)}
    fitted = KNeighborsClassifier().fit(data.pool.x.numpy(), data.teacher_y.numpy())
    for place, x in shift.harder(data.test.x, 3):
        expected = fitted.predict_proba(x.numpy())
        np.testing.assert_allclose(said[place].mean, expected, atol=1e-5, rtol=1e-4)
    np.testing.assert_array_equal(said["noise", 0].mean, said["blur", 0].mean)


def test_scores_of_harder_images_by_hand():
    probs = torch.tensor([[[0.5, 0.5], [0.9, 0.1]], [[0.5, 0.5], [0.1, 0.9]]])
    found = shift.scores_at(Prediction(probs), np.array([0, 1]))
    assert found["accuracy"] == 0.5
    assert found["nll"] == pytest.approx(math.log(2))
    assert found["total"] == pytest.approx(math.log(2))
    inner = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))
    assert found["epistemic"] == pytest.approx((math.log(2) - inner) / 2, rel=1e-5)
