"""What every rule of weighting keeps that learns without the student."""

import inspect

import pytest
import torch

from mtbkd import registry
from mtbkd.priors.prior import check_weights
from mtbkd.rules import HeldOut, Offer
from mtbkd.teachers import TeacherBank
from mtbkd.weighting import weigh
from mtbkd.weighting.learned import LearnedConfig

# Learned by sampling: few draws here, and equal only as far as draws are.
SAMPLED = {"learned": LearnedConfig(num_chains=2, warmup=20, draws=10)}
# Of equal teachers the first is taken.
TIES_TO_THE_FIRST = {"best"}


def rule_of(name):
    return getattr(registry.find("weighting", name), name)


RULES = [
    name
    for name in registry.names("weighting")
    if "student" not in inspect.signature(rule_of(name)).parameters
]
EXACT = [name for name in RULES if name not in SAMPLED]


def teachers(n, k=3, seed=0):
    """Bayesian teachers, as every rule takes them; of the second all draws know no doubt."""
    generator = torch.Generator().manual_seed(seed)
    probs = torch.softmax(2 * torch.randn(4, 5, n, k, generator=generator), -1)
    probs[1] = torch.nn.functional.one_hot(probs[1].argmax(-1), k)
    return dict(zip("abcd", probs, strict=True))


def labels_of(n, k, seed):
    return torch.randint(-1, k, (n,), generator=torch.Generator().manual_seed(seed))


BANK, HELD_OUT = TeacherBank.from_probs(teachers(8)), TeacherBank.from_probs(teachers(30, seed=1))
LABELS, HELD_OUT_LABELS = labels_of(8, 3, 2), labels_of(30, 3, 3)


def heard(name, names, bank=BANK, labels=LABELS):
    offer = Offer(HeldOut(HELD_OUT.select(names), HELD_OUT_LABELS))
    config = SAMPLED.get(name) or registry.default_config("weighting", name)
    return weigh(config, bank.select(names), labels, offer)


def test_some_labels_are_known_and_some_are_not():
    assert {-1, 0, 1, 2} == set(LABELS.tolist()) == set(HELD_OUT_LABELS.tolist())


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("labels", [LABELS, None, torch.full((8,), -1)], ids=["some", "unknown", "none"])
def test_weights_are_a_distribution_over_teachers(name, labels):
    found = heard(name, BANK.names, labels=labels)
    assert found.teachers.shape == (8, 4)
    assert found.teachers.dtype == torch.float32
    check_weights(BANK, found)
    if found.scale is not None:
        assert found.scale.mean().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", RULES)
def test_one_teacher_counts_one(name):
    assert heard(name, ["b"]).teachers.tolist() == [[1.0]] * 8


@pytest.mark.parametrize("name", EXACT)
def test_in_another_order_every_teacher_keeps_its_weight(name):
    order = [2, 0, 3, 1]
    first, other = heard(name, BANK.names), heard(name, [BANK.names[m] for m in order])
    torch.testing.assert_close(other.teachers, first.teachers[:, order])
    torch.testing.assert_close(other.scale, first.scale)
    assert name == "uniform" or first.teachers.std() > 0.01, "which teachers of one weight would not show"


@pytest.mark.parametrize("name", [name for name in EXACT if name not in TIES_TO_THE_FIRST])
def test_teachers_that_say_the_same_count_the_same(name):
    def twice(bank):
        return TeacherBank(("a", "b", "again"), (*bank.predictions[:2], bank.predictions[0]))

    config = registry.default_config("weighting", name)
    found = weigh(config, twice(BANK), LABELS, Offer(HeldOut(twice(HELD_OUT), HELD_OUT_LABELS))).teachers
    torch.testing.assert_close(found[:, 0], found[:, 2])


@pytest.mark.parametrize("name", RULES)
def test_certain_teachers_that_are_wrong_leave_no_nan(name):
    """Every teacher gives the label of some row 0, and all of them that of the last two."""
    certain = torch.nn.functional.one_hot(torch.tensor([[0, 1, 1, 2], [2, 2, 1, 2]]), 3).double()
    bank = TeacherBank.from_probs({"a": certain[:1].repeat(2, 1, 1), "b": certain[1:].repeat(2, 1, 1)})
    labels = torch.tensor([0, 2, 0, 1])
    config = SAMPLED.get(name) or registry.default_config("weighting", name)
    check_weights(bank, weigh(config, bank, labels, Offer(HeldOut(bank, labels))))
