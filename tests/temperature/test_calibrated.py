"""Calibration finds the temperature that the labels were drawn at."""

import numpy as np
import pytest
import torch

from mtbkd import temperature
from mtbkd.errors import InputError
from mtbkd.registry import default_config
from mtbkd.rules import HeldOut, Offer
from mtbkd.teachers import TeacherBank
from mtbkd.temperature.calibrated import CalibratedConfig

CONFIG = default_config("temperature", "calibrated")


def test_two_classes_in_closed_form():
    # All rows have log-odds 4 and three labels in four agree: sigmoid(4 / tau) = 3/4, tau = 4 / ln 3.
    z = torch.tensor([[0.0, 4.0]]).repeat(4, 1)
    bank = TeacherBank.from_logits({"a": z, "twice": 2 * z})
    labels = torch.tensor([1, 1, 0, 1])
    found = temperature.calibrated(bank, held_out=HeldOut(bank, labels))
    torch.testing.assert_close(found, torch.tensor([4 / np.log(3), 8 / np.log(3)], dtype=torch.float32))


def test_labels_drawn_at_a_known_temperature():
    generator = torch.Generator().manual_seed(0)
    z = 3 * torch.randn(20_000, 5, generator=generator)
    labels = torch.multinomial(torch.softmax(z / 2.5, -1), 1, generator=generator)[:, 0]
    bank = TeacherBank.from_logits({"a": z})
    assert temperature.temperatures(CONFIG, bank, offer=Offer(HeldOut(bank, labels))).item() == pytest.approx(
        2.5, rel=0.03
    )


def test_draws_are_fitted_through_the_mean_of_tempered_draws():
    # Two draws with log-odds +a and -a average to 1/2 at every temperature; with a third at b the mean is
    # (1 + sigmoid(b / tau)) / 3, which is 0.6 where sigmoid(b / tau) = 0.8.
    draws = torch.tensor([[[0.0, 5.0]], [[0.0, -5.0]], [[0.0, 3.0]]]).repeat(1, 5, 1)
    labels = torch.tensor([1, 1, 0, 1, 0])
    bank = TeacherBank.from_logits({"draws": draws})
    found = temperature.calibrated(bank, held_out=HeldOut(bank, labels))
    assert found.item() == pytest.approx(3 / np.log(4), rel=1e-4)


def test_unlabelled_rows_and_impossible_labels_say_nothing():
    z = torch.tensor([[0.0, 4.0]]).repeat(4, 1)
    probs = torch.softmax(z, -1)
    extra = torch.tensor([[0.3, 0.7], [1.0, 0.0]])  # one unlabelled, one whose label has probability 0
    bank = TeacherBank.from_probs({"forest": torch.cat([probs, extra])})
    labels = torch.tensor([1, 1, 0, 1, -1, 1])
    assert temperature.calibrated(bank, held_out=HeldOut(bank, labels)).item() == pytest.approx(
        4 / np.log(3), rel=1e-4
    )


def test_the_bounds_hold_a_teacher_that_is_always_right():
    bank = TeacherBank.from_logits({"a": torch.tensor([[0.0, 4.0]])})
    found = temperature.temperatures(
        CalibratedConfig(lower=0.5, upper=3.0), bank, offer=Offer(HeldOut(bank, torch.tensor([1])))
    )
    assert found.item() == pytest.approx(0.5, rel=1e-3)


BANK = TeacherBank.from_logits({"a": torch.tensor([[0.0, 1.0], [0.0, 2.0]])})


@pytest.mark.parametrize("held_out", [None, HeldOut(BANK, torch.tensor([-1, -1]))])
def test_nothing_held_out(held_out):
    with pytest.raises(InputError, match=r"'calibrated': there is no labelled held-out row; give validation"):
        temperature.calibrated(BANK, held_out=held_out)


def test_other_bad_input():
    with pytest.raises(InputError, match="1 labels"):
        temperature.calibrated(BANK, held_out=HeldOut(BANK, torch.tensor([1])))
    with pytest.raises(InputError, match="label 2 at row 1"):
        temperature.calibrated(BANK, held_out=HeldOut(BANK, torch.tensor([1, 2])))
    never = TeacherBank.from_probs({"a": np.array([[1.0, 0.0], [1.0, 0.0]])})
    with pytest.raises(InputError, match=r"'a': gives the label of every held-out row probability 0"):
        temperature.calibrated(never, held_out=HeldOut(never, torch.tensor([1, 1])))
    with pytest.raises(InputError, match=r"temperature.lower is 3"):
        CalibratedConfig(lower=3.0, upper=2.0)
