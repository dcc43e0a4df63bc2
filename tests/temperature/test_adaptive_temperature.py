"""A teacher's temperature by how unsure it is, by hand."""

import numpy as np
import pytest
import torch

from mtbkd import temperature
from mtbkd.errors import InputError
from mtbkd.registry import default_config
from mtbkd.teachers import TeacherBank
from mtbkd.temperature.adaptive_temperature import AdaptiveTemperatureConfig


def test_by_hand():
    # Of four classes: sure, two even, flat have entropies 0, ln 2 and ln 4 of at most ln 4: 0, a half and all.
    rows = np.array([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25, 0.25, 0.25, 0.25]])
    bank = TeacherBank.from_probs({"a": rows, "reversed": rows[::-1].copy()})
    found = temperature.adaptive_temperature(bank, lower=0.5, upper=4.5)
    torch.testing.assert_close(found, torch.tensor([[0.5, 2.5, 4.5], [4.5, 2.5, 0.5]]))
    default = temperature.temperatures(default_config("temperature", "adaptive_temperature"), bank)
    torch.testing.assert_close(default[0], torch.tensor([1.0, 2.5, 4.0]))
    equal = temperature.temperatures(AdaptiveTemperatureConfig(2.0, 2.0), bank)
    torch.testing.assert_close(equal, torch.full((2, 3), 2.0))


def test_draws_count_by_the_entropy_of_their_mean():
    opposed = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])  # each draw is sure, their mean is flat
    bank = TeacherBank.from_probs({"draws": opposed, "sure": opposed[0]})
    assert temperature.adaptive_temperature(bank).tolist() == [[4.0], [1.0]]


def test_every_split_has_its_own():
    sure, flat = np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]])
    banks = {
        "pool": TeacherBank.from_probs({"a": np.concatenate([sure, flat])}),
        "test": TeacherBank.from_probs({"a": np.array([[0.8, 0.2], [0.5, 0.5], [1.0, 0.0]])}),
    }
    config = default_config("temperature", "adaptive_temperature")
    found = temperature.temper(config, banks, temperature.temperatures(config, banks["pool"]))
    torch.testing.assert_close(found["pool"].mean_probs(), banks["pool"].mean_probs())
    entropy = -(0.8 * np.log2(0.8) + 0.2 * np.log2(0.2))
    milder = np.array([0.8, 0.2]) ** (1 / (1 + 3 * entropy))
    np.testing.assert_allclose(found["test"].mean_probs()[0, 0], milder / milder.sum(), rtol=1e-5)
    np.testing.assert_allclose(found["test"].mean_probs()[0, 1:], [[0.5, 0.5], [1.0, 0.0]])


def test_a_teacher_is_unsure_among_the_classes_that_it_knows():
    # Flat over two classes of three is as unsure as it can be; over one class there is nothing to be unsure of.
    classes = torch.tensor([[True, True, False], [False, False, True]])
    bank = TeacherBank.from_predictions({"two": torch.zeros(1, 3), "one": torch.zeros(1, 3)}, classes=classes)
    assert temperature.adaptive_temperature(bank).tolist() == [[4.0], [1.0]]


@pytest.mark.parametrize("k", [2, 1000])
def test_it_stays_within_its_bounds(k):
    bank = TeacherBank.from_logits({"flat": torch.full((3, k), 0.1), "any": torch.randn(3, k)})
    found = temperature.adaptive_temperature(bank, lower=1.0, upper=3.0)
    assert float(found.max()) <= 3.0
    assert float(found.min()) >= 1.0
    torch.testing.assert_close(found[0], torch.full((3,), 3.0))


def test_bad_input():
    with pytest.raises(InputError, match=r"temperature.lower is 3.0, above temperature.upper 2.0; exchange"):
        AdaptiveTemperatureConfig(3.0, 2.0)
    with pytest.raises(InputError, match=r"temperature.lower is 0"):
        AdaptiveTemperatureConfig(0.0, 2.0)
