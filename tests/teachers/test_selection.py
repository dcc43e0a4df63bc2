"""Backward elimination: duplicates, noise and specialists; intervals by hand."""

import math

import pytest
import torch
from scipy.stats import ttest_1samp

from mtbkd.errors import InputError
from mtbkd.teachers import TeacherBank, TeacherCost
from mtbkd.teachers.selection import (
    FLOOR,
    NEGLIGIBLE,
    Gain,
    Judgement,
    Selection,
    cross_fitted,
    eliminate,
    folds_of,
    paired_gain,
    select_teachers,
)
from mtbkd.teachers.stacked import mixture_scores, stack

K, N = 4, 400


def teacher(labels: torch.Tensor, right: float, seed: int, only: set[int] | None = None) -> torch.Tensor:
    """Logits of a teacher that names the class rightly with probability `right`, at rows of the classes `only`."""
    generator = torch.Generator().manual_seed(seed)
    knows = torch.rand(len(labels), generator=generator) < right
    if only is not None:
        knows &= torch.tensor([int(y) in only for y in labels])
    z = 0.3 * torch.randn(len(labels), K, generator=generator)
    return z + 4 * knows[:, None] * torch.nn.functional.one_hot(labels, K)


@pytest.fixture
def labels():
    return torch.randint(K, (N,), generator=torch.Generator().manual_seed(9))


def of(selection: Selection) -> dict[str, Judgement]:
    return {one.teacher: one for one in selection.judgements}


def test_of_two_duplicates_exactly_one_is_dropped(labels):
    low, high = teacher(labels, 0.95, 1, only={0, 1}), teacher(labels, 0.95, 2, only={2, 3})
    bank = TeacherBank.from_logits({"low": low, "high": high, "again": low})
    scores = torch.log_softmax(torch.stack([low, high, low]), -1)[:, torch.arange(N), labels].T.double()
    folds = folds_of(N, 0)
    # The trap: left out once each, neither of the two is missed, and both together are missed a lot.
    together = cross_fitted(scores, folds)
    once = [float((together - cross_fitted(scores[:, list({0, 1, 2} - {m})], folds)).mean()) for m in (0, 2)]
    assert max(map(abs, once)) < NEGLIGIBLE
    assert float((together - cross_fitted(scores[:, [1]], folds)).mean()) > 0.2
    found = select_teachers(bank, labels)
    assert found.kept == ("low", "high")
    assert of(found)["again"].dropped == 1
    assert of(found)["low"].gain.lower > 0.1, "judged anew, without its double"


def test_noise_is_dropped_and_specialists_stay(labels):
    bank = TeacherBank.from_logits(
        {
            "low": teacher(labels, 0.95, 1, only={0, 1}),
            "high": teacher(labels, 0.95, 2, only={2, 3}),
            "noise": 2 * torch.randn(N, K, generator=torch.Generator().manual_seed(3)),
        }
    )
    found = select_teachers(bank, labels)
    assert found.kept == ("low", "high")
    assert (of(found)["noise"].dropped, found.rows) == (1, N)
    assert of(found)["noise"].gain.lower <= 0
    assert min(of(found)[name].gain.lower for name in ("low", "high")) > 0.1


def test_what_is_dropped_first_is_missed_least(labels):
    good = teacher(labels, 0.9, 1)
    worse = {"flat": torch.zeros(N, K), "wrong": teacher((labels + 1) % K, 0.9, 3)}
    found = select_teachers(TeacherBank.from_logits({**worse, "good": good}), labels)
    assert found.kept == ("good",)
    assert sorted(of(found)[name].dropped for name in worse) == [1, 2]
    assert of(found)["good"].gain is None, "alone, it adds to nobody"


def test_one_teacher_stays_whatever_it_says(labels):
    bank = TeacherBank.from_logits({"wrong": teacher((labels + 1) % K, 1.0, 3)})
    found = select_teachers(bank, labels)
    assert found.kept == ("wrong",)
    assert found.judgements == (Judgement("wrong", None),)


def test_the_gain_and_its_interval_by_hand():
    # Differences 0, 1, 2: mean 1, sd 1, t_{.975, 2} = 4.30265.
    found = paired_gain(torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64))
    half = 4.302652729911275 / math.sqrt(3)
    assert (found.mean, found.lower, found.upper) == pytest.approx((1, 1 - half, 1 + half))
    d = torch.randn(40, generator=torch.Generator().manual_seed(0)).double() + 0.3
    expected = ttest_1samp(d.numpy(), 0).confidence_interval(0.95)
    assert (paired_gain(d).lower, paired_gain(d).upper) == pytest.approx(tuple(expected))
    assert paired_gain(torch.zeros(5, dtype=torch.float64)) == Gain(0, 0, 0)


def test_a_row_is_scored_by_weights_that_have_not_seen_it():
    scores = torch.rand(10, 3, generator=torch.Generator().manual_seed(1)).double().log()
    folds = folds_of(10, 0)
    found = cross_fitted(scores, folds)
    for row in range(10):
        others = scores[folds != folds[row]]
        torch.testing.assert_close(found[row], mixture_scores(scores[row], stack(others, 1e-8)))
    changed = scores.clone()
    changed[4] -= 1
    torch.testing.assert_close(cross_fitted(changed, folds)[4], found[4] - 1)


def test_folds_are_equally_large_and_seeded():
    assert folds_of(12, 0).bincount().tolist() == [3, 3, 2, 2, 2]
    assert sorted(folds_of(3, 0).tolist()) == [0, 1, 2]
    assert torch.equal(folds_of(50, 1), folds_of(50, 1))
    assert not torch.equal(folds_of(50, 1), folds_of(50, 2))


def test_the_same_seed_chooses_the_same(labels):
    bank = TeacherBank.from_logits({f"t{i}": teacher(labels, 0.4 + 0.1 * i, i) for i in range(4)})
    assert select_teachers(bank, labels, 3) == select_teachers(bank, labels, 3)


def test_unlabelled_rows_say_nothing(labels):
    z = {"a": teacher(labels, 0.9, 1), "b": teacher(labels, 0.3, 2)}
    more = {name: torch.cat([value, torch.randn(30, K)]) for name, value in z.items()}
    unknown = torch.cat([labels, torch.full((30,), -1)])
    assert select_teachers(TeacherBank.from_logits(more), unknown) == select_teachers(
        TeacherBank.from_logits(z), labels
    )


def test_impossible_labels_cost_what_the_floor_says():
    labels = torch.tensor([0, 1] * 10)
    sure = torch.tensor([[1.0, 0.0], [0.0, 1.0]] * 10)
    wrong_once = sure.clone()
    wrong_once[0] = torch.tensor([0.0, 1.0])
    bank = TeacherBank.from_probs({"sure": sure, "once": wrong_once})
    found = select_teachers(bank, labels)
    assert found.kept == ("sure",)
    gain = of(select_teachers(TeacherBank.from_probs({"once": wrong_once, "flat": sure * 0 + 0.5}), labels))
    # 'flat' saves the one impossible row and costs elsewhere; all is finite.
    assert all(math.isfinite(one.gain.mean) for one in gain.values() if one.gain is not None)
    order, gains = eliminate(torch.tensor([[math.log(FLOOR), 0.0]] * 20).double(), torch.arange(20) % 5)
    assert order == [0]
    assert gains[0].mean == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("known", [0, 1])
def test_without_labels_nothing_can_be_chosen(labels, known):
    bank = TeacherBank.from_logits({"a": teacher(labels, 0.9, 1), "b": teacher(labels, 0.3, 2)})
    unknown = torch.full_like(labels, -1)
    unknown[:known] = 0
    with pytest.raises(InputError, match=rf"{known} labelled held-out rows.*teachers\.select=all"):
        select_teachers(bank, unknown)


def test_the_share_of_the_cost_that_is_saved():
    costs = [TeacherCost(100, 400, 2.0, 30.0), TeacherCost(300, 1200, 6.0, None)]
    kept, dropped = Judgement("a", None, None, costs[0]), Judgement("b", Gain(0, 0, 0), 1, costs[1])
    found = Selection((kept, dropped), 9)
    assert found.saved == {"parameters": 0.75, "latency_ms": 0.75, "seconds": None}
    assert found.kept == ("a",)
    assert Selection((kept,), 9).saved == {"parameters": 0.0, "latency_ms": 0.0, "seconds": 0.0}
    unknown = Selection((kept, Judgement("b", None, 1)), 9)
    assert unknown.saved == {"parameters": None, "latency_ms": None, "seconds": None}


def test_costs_follow_their_teachers(labels):
    bank = TeacherBank.from_logits(
        {"wrong": teacher((labels + 1) % K, 1.0, 3), "good": teacher(labels, 1, 1)}
    )
    costs = [TeacherCost(parameters=5), TeacherCost(parameters=7)]
    found = of(select_teachers(bank, labels, costs=costs))
    assert (found["wrong"].cost.parameters, found["good"].cost.parameters) == (5, 7)
    assert found["wrong"].dropped == 1
