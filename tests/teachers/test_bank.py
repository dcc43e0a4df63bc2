"""The bank refuses what is wrong, by teacher, row and value, and serves exact probabilities."""

import numpy as np
import pytest
import torch

from mtbkd.errors import InputError
from mtbkd.teachers import TeacherBank, TeacherCost


def logits(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_probabilities_of_known_logits():
    bank = TeacherBank.from_logits({"a": torch.tensor([[0.0, np.log(3.0)]])})
    torch.testing.assert_close(bank.probs, torch.tensor([[[0.25, 0.75]]]))
    # At temperature 2 the odds are sqrt(3).
    odds = 3**0.5
    torch.testing.assert_close(
        bank.mean_probs(2.0), torch.tensor([[[1 / (1 + odds), odds / (1 + odds)]]], dtype=torch.float32)
    )


def test_exact_zeros_stay_zero_at_every_temperature():
    p = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    bank = TeacherBank.from_probs({"forest": p})
    assert bank.logits[0, 0, 1] == -torch.inf
    for tau in (0.1, 1.0, 7.0):
        torch.testing.assert_close(bank.mean_probs(tau)[0], torch.tensor(p, dtype=torch.float32))
        tempered = bank.tempered(torch.tensor([tau]))
        torch.testing.assert_close(tempered.probs[0], torch.tensor(p, dtype=torch.float32))
        assert tempered.logits[0, 0, 1] == -torch.inf


def test_draws_are_tempered_one_by_one_then_averaged():
    draws = torch.tensor([[[0.0, 2.0]], [[0.0, -4.0]]])
    bank = TeacherBank.from_logits({"nets": draws, "point": torch.tensor([[0.0, 0.0]])})
    expected = (1 / (1 + np.exp(-1.0)) + 1 / (1 + np.exp(2.0))) / 2
    assert bank.mean_probs(2.0)[0, 0, 1].item() == pytest.approx(expected, rel=1e-6)
    assert bank.bayesian.tolist() == [True, False]
    assert bank.logits.shape == (2, 2, 1, 2)
    torch.testing.assert_close(bank.logits[1], torch.zeros(2, 1, 2))
    assert bank.draw_probs(1).shape == (1, 1, 2)


def test_different_numbers_of_draws_need_draw_probs():
    bank = TeacherBank.from_logits({"a": logits(3, 4, 2), "b": logits(5, 4, 2)})
    with pytest.raises(InputError, match=r"'a' has 3 draws.*'b' 5.*draw_probs"):
        _ = bank.logits
    assert bank.draw_probs(1).shape == (5, 4, 2)
    assert bank.mean_probs().shape == (2, 4, 2)


def test_tempering_by_row_and_teacher():
    bank = TeacherBank.from_logits({"a": logits(3, 2), "b": logits(3, 2, seed=1)})
    tau = torch.tensor([[1.0, 2.0, 4.0], [8.0, 1.0, 0.5]])
    torch.testing.assert_close(bank.tempered(tau).logits, bank.logits / tau[..., None])
    with pytest.raises(InputError, match=r"shape \(3,\)"):
        bank.tempered(torch.ones(3))
    with pytest.raises(InputError, match="temperature is -1"):
        bank.tempered(torch.tensor([1.0, -1.0]))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_logit_that_is_not_finite_is_refused_by_teacher_row_and_class(value):
    z = logits(5, 3)
    z[4, 2] = value
    with pytest.raises(InputError, match=r"teacher 'esm': row 4, class 2 is -?(nan|inf)"):
        TeacherBank.from_logits({"t5": logits(5, 3), "esm": z})


def test_the_draw_of_a_bad_logit_is_named():
    z = logits(3, 5, 2)
    z[1, 4, 0] = float("nan")
    with pytest.raises(InputError, match="teacher 'nets': row 4, class 0, draw 1 is nan"):
        TeacherBank.from_logits({"nets": z})


def test_minus_infinity_points_to_from_probs():
    with pytest.raises(InputError, match="from_probs"):
        TeacherBank.from_logits({"a": np.array([[0.0, -np.inf]])})


def test_rows_that_do_not_sum_to_one():
    p = np.full((20, 4), 0.25)
    p[17] = [0.2, 0.2, 0.2, 0.23]
    with pytest.raises(InputError, match=r"teacher 'esm': row 17 sums to 0.83, not 1; .*from_logits"):
        TeacherBank.from_probs({"esm": p})
    p[17] = [0.25, 0.25, 0.25, 0.2506]  # within the tolerance: renormalised
    bank = TeacherBank.from_probs({"esm": p})
    assert bank.probs[0, 17].sum().item() == pytest.approx(1, abs=1e-6)


def test_negative_and_missing_probabilities():
    with pytest.raises(InputError, match=r"teacher 'a': row 1, class 0 is -0.2"):
        TeacherBank.from_probs({"a": np.array([[0.5, 0.5], [-0.2, 1.2]])})
    with pytest.raises(InputError, match=r"teacher 'a': row 0, class 1 is nan"):
        TeacherBank.from_probs({"a": np.array([[0.5, np.nan]])})


@pytest.mark.parametrize(("shape", "what"), [((6, 3), "rows"), ((5, 4), "classes")])
def test_teachers_that_disagree_are_both_named(shape, what):
    with pytest.raises(InputError, match=rf"'esm' has \d {what}, teacher 't5' \d"):
        TeacherBank.from_logits({"esm": logits(5, 3), "t5": logits(*shape)})


@pytest.mark.parametrize("values", [np.zeros(3), np.zeros((3, 1)), np.zeros((0, 3)), np.zeros((1, 1, 2, 2))])
def test_shapes_that_are_not_predictions(values):
    with pytest.raises(InputError, match="teacher 'a': values have shape"):
        TeacherBank.from_logits({"a": values})


def test_no_teachers():
    with pytest.raises(InputError, match="no teachers"):
        TeacherBank.from_logits({})


def test_predictions_may_hold_zeros_but_no_empty_row():
    z = torch.tensor([[0.0, -torch.inf], [-torch.inf, -torch.inf]])
    with pytest.raises(InputError, match="teacher 'a': row 1 gives every class probability 0"):
        TeacherBank.from_predictions({"a": z})
    costs = [TeacherCost(3), TeacherCost(7)]
    bank = TeacherBank.from_predictions({"a": z[:1], "b": z[:1]}, costs=costs)
    assert bank.select(["b"]).costs == (TeacherCost(7),)


def test_only_the_same_inputs_in_the_same_order_pass():
    x = np.random.default_rng(0).normal(size=(6, 4))
    bank = TeacherBank.from_logits({"a": logits(6, 3)}, inputs=x)
    bank.check(x)
    bank.check(torch.tensor(x, dtype=torch.float32))  # the same rows in the student's precision
    with pytest.raises(InputError, match="another order"):
        bank.check(x[::-1].copy())
    with pytest.raises(InputError, match="augmentation off"):
        bank.check(x + 0.01)
    with pytest.raises(InputError, match="bank has 6 rows, the inputs 5"):
        bank.check(x[:5])
    with pytest.raises(InputError, match="inputs have 5 rows, teacher 'a' has 6"):
        TeacherBank.from_logits({"a": logits(6, 3)}, inputs=x[:5])
    TeacherBank.from_logits({"a": logits(6, 3)}).check(x + 1)  # nothing is known of the inputs


def test_take_and_select():
    bank = TeacherBank.from_logits({"a": logits(4, 3), "b": logits(2, 4, 3)}, inputs=logits(4, 5))
    rows = torch.tensor([2, 0])
    taken = bank.take(rows)
    assert taken.rows_hash is None
    torch.testing.assert_close(taken.predictions[1], bank.predictions[1][:, rows])
    assert bank.select(["b", "a"]).names == ("b", "a")
    assert bank.select(["b"]).rows_hash == bank.rows_hash
    with pytest.raises(InputError, match="teacher 'B' is not in the bank"):
        bank.select(["B"])
    with pytest.raises(InputError, match="no teacher is selected"):
        bank.select([])


@pytest.mark.parametrize(("m", "n", "k"), [(1, 1, 2), (20, 7, 2), (3, 5, 1000), (20, 1, 1000)])
def test_sizes(m, n, k):
    bank = TeacherBank.from_logits({f"t{i}": 100 * logits(n, k, seed=i) for i in range(m)})
    assert (bank.num_teachers, bank.num_rows, bank.num_classes) == (m, n, k)
    assert bank.probs.shape == (m, n, k)
    torch.testing.assert_close(bank.probs.sum(-1), torch.ones(m, n))
