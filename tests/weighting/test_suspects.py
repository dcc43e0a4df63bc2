"""Whom labels accuse: by hand, and by the rows and weights that count."""

import warnings

import numpy as np
import pytest
import tiny_runs
import torch

from mtbkd.problem import ask, prepare
from mtbkd.progress import Progress
from mtbkd.rules import HeldOut
from mtbkd.teachers import TeacherBank
from mtbkd.weighting.suspects import suspects, warn_of_suspects


def bank_of(n, **of_the_label):
    """Teachers by the probability that they give label 0 of two classes, repeated to n rows."""
    told = {name: torch.tensor(p * (n // len(p))) for name, p in of_the_label.items()}
    return TeacherBank.from_probs({name: torch.stack([p, 1 - p], -1) for name, p in told.items()})


def zeros(n):
    return torch.zeros(n, dtype=torch.int64)


def accused(bank, labels, weights=None):
    share = torch.full((bank.num_teachers,), 1 / bank.num_teachers)
    return [one.name for one in suspects(bank, labels, share if weights is None else weights)]


def test_the_score_is_brier_s_and_the_bar_is_one_half_for_two_classes():
    found = suspects(
        bank_of(10, wrong=[0.1], modest=[0.5], right=[0.9]), zeros(10), torch.tensor([0.2, 0.3, 0.5])
    )
    assert [one.name for one in found] == ["wrong"]
    one = found[0]
    assert (one.rows, one.accuracy, one.ignorance) == (10, 0.0, 0.5)
    assert one.brier == pytest.approx(0.9**2 + 0.9**2)
    assert one.weight == pytest.approx(0.2)


# Sure, and right at every second row: d is -.5 or 1.5, so its mean is .5. Ten rows: sd 1.054, t_9 = 2.821, so the bar
# is 2.821 * 1.054 / sqrt(10) = .94; forty: 2.426 * 1.013 / sqrt(40) = .39.
@pytest.mark.parametrize(("rows", "expected"), [(10, []), (40, ["coin"])])
def test_chance_accuses_nobody(rows, expected):
    assert accused(bank_of(rows, coin=[1.0, 0.0], right=[0.9, 0.8]), zeros(rows)) == expected


def test_one_sure_mistake_convicts_nobody():
    assert accused(bank_of(10, sure=[1.0] * 9 + [0.0]), zeros(10)) == []


def test_unlabelled_rows_fewer_than_five_labels_and_unheard_teachers_do_not_count():
    bank = bank_of(10, wrong=[0.1], right=[0.9])
    few = torch.tensor([0] * 4 + [-1] * 6)
    assert accused(bank, few) == []
    assert accused(bank, torch.tensor([0] * 5 + [-1] * 5)) == ["wrong"]
    assert accused(bank, zeros(10), torch.tensor([0.04, 0.96])) == []


def test_a_class_that_a_teacher_does_not_know_is_held_against_nobody():
    known = torch.tensor([[True, True, False], [True, True, True]])
    p = torch.tensor([[0.4, 0.4, 0.2]]).repeat(8, 1).log()
    p[:, 2] = -torch.inf
    full = torch.tensor([[0.1, 0.1, 0.8]]).repeat(8, 1).log()
    bank = TeacherBank.from_predictions({"of two": p.log_softmax(-1), "of three": full}, classes=known)
    assert accused(bank, torch.full((8,), 2)) == []


def test_held_out_labels_are_asked_first_and_the_pool_s_where_there_are_too_few():
    pool, good = bank_of(10, one=[0.1], two=[0.9]), bank_of(10, one=[0.9], two=[0.9])
    weights = torch.full((10, 2), 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_suspects(pool, zeros(10), HeldOut(good, zeros(10)), weights)
    for held_out in (None, HeldOut(good, torch.tensor([0] * 4 + [-1] * 6))):
        with pytest.warns(
            UserWarning, match=r"'one' is right at 0%.*has 50% of the weight, by 10 labelled rows"
        ):
            warn_of_suspects(pool, zeros(10), held_out, weights)


def test_a_run_says_which_of_its_teachers_are_wrong(tmp_path):
    words = tiny_runs.tiny_overrides(tmp_path)
    path = tiny_runs.write_teacher(tmp_path, "turned", 4.0)
    np.savez(path, logits=np.roll(np.load(path)["logits"], 1, axis=1))
    turned = f"+teachers.members.turned={{kind:predictions,path:'{path}',values:logits}}"
    config = tiny_runs.resolved(*words, turned)
    with pytest.warns(UserWarning, match=r"^teacher 'turned' is right at 0%") as told:
        ask(config, prepare(config), Progress())
    assert len(told) == 1
