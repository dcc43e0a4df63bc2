"""One temperature for all."""

import pytest
import torch

from mtbkd import temperature
from mtbkd.errors import InputError
from mtbkd.registry import default_config
from mtbkd.teachers import TeacherBank
from mtbkd.temperature.fixed import FixedConfig

BANK = TeacherBank.from_logits({"a": torch.tensor([[0.0, 2.0]]), "b": torch.tensor([[0.0, 4.0]])})


def test_given_value_and_default():
    assert temperature.temperatures(FixedConfig(2.0), BANK).tolist() == [2.0, 2.0]
    default = temperature.temperatures(default_config("temperature", "fixed"), BANK)
    torch.testing.assert_close(BANK.tempered(default).logits, BANK.logits, rtol=0, atol=0)


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_values_that_are_no_temperature(value):
    with pytest.raises(InputError, match=r"temperature.value is"):
        FixedConfig(value)
