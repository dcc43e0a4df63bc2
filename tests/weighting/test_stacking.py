"""Stacking weights on held-out labels against closed forms and a general optimiser."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from mtbkd import weighting
from mtbkd.errors import InputError
from mtbkd.registry import default_config
from mtbkd.rules import HeldOut, Offer
from mtbkd.teachers import TeacherBank
from mtbkd.weighting.stacking import StackingConfig

CONFIG = default_config("weighting", "stacking")


def drawn(n=400, k=3, seed=0):
    """Three teachers that know something each, one that knows nothing, and labels drawn from the first two."""
    generator = torch.Generator().manual_seed(seed)
    z = 2 * torch.randn(3, n, k, generator=generator)
    probs = torch.softmax(z, -1)
    truth = 0.7 * probs[0] + 0.3 * probs[1]
    labels = torch.multinomial(truth, 1, generator=generator)[:, 0]
    names = dict(zip(("most", "some", "noise"), probs, strict=True))
    return TeacherBank.from_probs(names | {"flat": torch.full((n, k), 1 / k)}), labels


def test_two_teachers_in_closed_form():
    # One is right with .8 in three rows and with .1 in two, the other the reverse:
    # w = (3 * .8 - 2 * .1) / (5 * .7) = 22/35.
    first = torch.tensor([0.8] * 3 + [0.1] * 2)
    said = {
        "first": torch.stack([first, 1 - first], -1),
        "other": torch.stack([0.9 - first, 0.1 + first], -1),
    }
    held_out = TeacherBank.from_probs(said)
    pool = TeacherBank.from_logits({"first": torch.zeros(2, 2), "other": torch.zeros(2, 2)})
    offer = Offer(HeldOut(held_out, torch.zeros(5, dtype=torch.int64)))
    heard = weighting.weigh(StackingConfig(tolerance=1e-12), pool, None, offer)
    torch.testing.assert_close(heard.teachers, torch.tensor([[22 / 35, 13 / 35]] * 2), atol=1e-5, rtol=0)


def test_four_teachers_against_slsqp():
    bank, labels = drawn()
    p = bank.mean_probs()[:, torch.arange(len(labels)), labels].double().numpy()
    best = minimize(
        lambda w: -np.log(w @ p).mean(),
        np.full(4, 0.25),
        jac=lambda w: -(p / (w @ p)).mean(1),
        bounds=[(0, 1)] * 4,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-12},
    )
    found = weighting.stacking(bank, held_out=HeldOut(bank, labels), tolerance=1e-9)[0].double().numpy()
    np.testing.assert_allclose(found, best.x, atol=1e-3)
    assert -np.log(found @ p).mean() <= best.fun + 1e-6


def test_teachers_that_add_nothing_go_to_nothing_and_the_truth_is_found():
    bank, labels = drawn(4000, 5)
    found = weighting.weigh(CONFIG, bank, None, Offer(HeldOut(bank, labels))).teachers[0]
    assert found[:2].tolist() == pytest.approx([0.7, 0.3], abs=0.04)
    assert found[2:].sum().item() < 0.02


def test_of_duplicates_the_sum_is_what_one_alone_has():
    bank, labels = drawn()
    alone = weighting.stacking(bank, held_out=HeldOut(bank, labels), tolerance=1e-9)[0]
    twice = TeacherBank(("most", "again", *bank.names[1:]), (bank.predictions[0], *bank.predictions))
    both = weighting.stacking(twice, held_out=HeldOut(twice, labels), tolerance=1e-9)[0]
    assert both[:2].sum().item() == pytest.approx(alone[0].item(), abs=1e-3)


def test_zeros_of_a_forest_do_not_rule_it_out():
    # The forest is sure and right in three rows of four, where the other says .5: l = .75 log(w + (1-w)/2)
    # + .25 log((1-w)/2), whose derivative is 0 at w = .5.
    forest = torch.tensor([[1.0, 0.0]] * 3 + [[0.0, 1.0]])
    bank = TeacherBank.from_probs({"forest": forest, "flat": torch.full((4, 2), 0.5)})
    found = weighting.stacking(
        bank, held_out=HeldOut(bank, torch.zeros(4, dtype=torch.int64)), tolerance=1e-10
    )
    torch.testing.assert_close(found, torch.full((4, 2), 0.5), atol=1e-4, rtol=0)


def test_what_cannot_be():
    bank, labels = drawn(4)
    assert weighting.stacking(bank.select(["noise"])).tolist() == [[1.0]] * 4
    with pytest.raises(InputError, match="weighting 'stacking': there is no labelled held-out row"):
        weighting.stacking(bank)
    never = TeacherBank.from_probs({"a": torch.tensor([[1.0, 0.0]]), "b": torch.tensor([[1.0, 0.0]])})
    with pytest.raises(
        InputError, match="weighting 'stacking': all teachers give the label of every held-out"
    ):
        weighting.stacking(never, held_out=HeldOut(never, torch.tensor([1])))
    with pytest.raises(InputError, match=r"weighting\.tolerance is 0"):
        StackingConfig(tolerance=0.0)
    with pytest.raises(InputError, match="tolerance is -1"):
        weighting.stacking(bank, held_out=HeldOut(bank, labels), tolerance=-1.0)
