"""A classifier's hints are a run's: the same factor of the student, asked of its own torch teachers."""

import numpy as np
import pytest
import torch
from sklearn.naive_bayes import GaussianNB
from torch import nn

from mtbkd import InputError, MTBKDClassifier
from mtbkd.features.hints import HintsConfig
from mtbkd.inference import MAPConfig

MAP = MAPConfig(steps=20)
RNG = np.random.default_rng(0)
X, Y = RNG.normal(5, 2, size=(40, 3)), np.arange(40) % 2


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def classifier(layers, **settings):
    teachers = {"net": network(), "nb": GaussianNB()}
    features = HintsConfig(layers=layers)
    return MTBKDClassifier(
        teachers, features=features, inference=MAP, hidden=(6,), random_state=0, **settings
    )


def test_layers_of_the_teacher_at_x_as_it_was_given_reach_the_student(tmp_path):
    fitted = classifier({"net": {1: 1}}).fit(X, Y)
    with torch.no_grad():
        layer = fitted.teachers_["net"][:2](torch.from_numpy(X.astype(np.float32)))
    (hint,) = fitted.hints_.hints
    assert (hint.student_layer, hint.width) == ("1", 4)
    assert fitted.posterior_.values[hint.projector].shape == (1, 1, 4, 6)
    # Standardised over the pool (see FeatureTransfer): correlation 1 with what the network itself gives.
    (target,) = [t for t in fitted.hints_.tensors.values() if t.shape == layer.shape]
    for given, kept in zip(layer.T.numpy(), target.T.numpy(), strict=True):
        assert np.corrcoef(given, kept)[0, 1] == pytest.approx(1, abs=1e-5)
    plain = MTBKDClassifier(fitted.teachers, inference=MAP, hidden=(6,), random_state=0).fit(X, Y)
    assert plain.hints_ is None
    assert not np.array_equal(plain.predict_proba(X), fitted.predict_proba(X))
    fitted.save(tmp_path / "clf")
    loaded = MTBKDClassifier.load(tmp_path / "clf")
    assert loaded.features.pairs == {"net": {"1": "1"}}
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"nett": {"1": "1"}}, "there is no teacher 'nett'; did you mean 'net'"),
        ({"nb": {"1": "1"}}, "teacher 'nb' has no layers to learn from"),
        ({"net": {"9": "1"}}, "9"),
        ({"net": {"1": "7"}}, "7"),
    ],
)
def test_layers_that_are_not_there_are_told_before_any_training(layers, message, monkeypatch):
    monkeypatch.setattr("mtbkd.fitting.fit", lambda *_, **__: pytest.fail("trained"))
    with pytest.raises(InputError, match=message):
        classifier(layers).fit(X, Y)
