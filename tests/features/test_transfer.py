"""Standardised features, the Gaussian factor by hand, and what a transfer refuses."""

import math

import numpy as np
import pytest
import torch

from mtbkd.errors import InputError
from mtbkd.features import FeatureTransfer
from mtbkd.features.transfer import site_name
from mtbkd.teachers.bank import TeacherBank
from mtbkd.teachers.standardised import standardised

N = 5
FEATURES = {"nets": {"2": torch.arange(10.0).view(N, 2), "hidden.0": torch.eye(N)}}


def bank(features=FEATURES) -> TeacherBank:
    z = torch.randn(2, N, 3, generator=torch.Generator().manual_seed(0))
    return TeacherBank.from_logits({"nets": z[0], "svm": z[1]}).with_features(features)


def test_features_have_mean_0_and_variance_1_over_the_pool():
    values = torch.tensor([[1.0, 7.0, 0.1], [3.0, 7.0, 0.1], [5.0, 7.0, 0.1]])
    values[1, 2] += 1e-8  # rounding, not information
    got = standardised("x", values)
    assert got[:, 0].tolist() == pytest.approx([-math.sqrt(1.5), 0, math.sqrt(1.5)])
    assert got[:, 1:].abs().max() == 0


def test_the_factor_by_hand():
    """-(alpha / 2) (1^2 + 2^2) / 2 for two features, residuals 1 and 2."""
    transfer = FeatureTransfer(bank(), {"nets": {"2": "1"}}, strength=0.8)
    got = transfer.score(torch.tensor([[1.0, 4.0]]), torch.tensor([[0.0, 2.0]]))
    assert got.tolist() == pytest.approx([-0.4 * 2.5])


def test_every_pair_is_a_hint():
    transfer = FeatureTransfer(bank(), {"nets": {"2": "1", "hidden.0": "1"}})
    assert [(h.name, h.student_layer, h.width) for h in transfer.hints] == [
        ("nets.2", "1", 2),
        ("nets.hidden_0", "1", 5),
    ]
    assert transfer.student_layers == ("1",)
    assert [h.projector for h in transfer.hints] == ["projector.nets.2", "projector.nets.hidden_0"]
    assert [h.factor for h in transfer.hints] == [
        "teachers.features.nets.2",
        "teachers.features.nets.hidden_0",
    ]
    expected = FEATURES["nets"]["2"].numpy()
    expected = (expected - expected.mean(0)) / expected.std(0)
    np.testing.assert_allclose(transfer.tensors["nets.2"].numpy(), expected, rtol=1e-6)
    assert list(transfer.tensors) == [h.name for h in transfer.hints]


def test_names_are_word_characters():
    assert site_name("ESM 2/650M", "encoder.layer.3") == "ESM_2_650M.encoder_layer_3"


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({}, "features.layers is empty"),
        ({"nets": {}}, "features.layers is empty"),
        ({"net": {"2": "1"}}, "no features of teacher 'net'; did you mean 'nets'"),
        ({"svm": {"2": "1"}}, "no features of teacher 'svm'"),
        ({"nets": {"3": "1"}}, "no features of layer '3' of teacher 'nets'; .*valid: 2, hidden.0"),
    ],
)
def test_what_the_bank_does_not_hold_is_refused(layers, message):
    with pytest.raises(InputError, match=message):
        FeatureTransfer(bank(), layers)


def test_layers_that_say_nothing_or_share_a_name_are_refused():
    constant = bank({"nets": {"2": torch.ones(N, 3)}})
    with pytest.raises(InputError, match="teacher 'nets', layer '2': no feature differs"):
        FeatureTransfer(constant, {"nets": {"2": "1"}})
    same = bank({"nets": {"a.b": torch.eye(N), "a_b": torch.eye(N)}})
    with pytest.raises(InputError, match=r"'nets\.a_b' would name two hints"):
        FeatureTransfer(same, {"nets": {"a.b": "1", "a_b": "1"}})
    with pytest.raises(InputError, match="strength is -1"):
        FeatureTransfer(bank(), {"nets": {"2": "1"}}, strength=-1.0)
    with pytest.raises(InputError, match="projector_scale is 0"):
        FeatureTransfer(bank(), {"nets": {"2": "1"}}, projector_scale=0.0)
