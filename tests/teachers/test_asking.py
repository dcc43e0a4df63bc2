"""Teachers that are fitted here learn from the pool's labels alone, and all are asked about every part."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from torch import nn

from mtbkd.errors import InputError
from mtbkd.teachers.asking import Shown, teach_and_ask, warn_of_rows_learned

X, Y = load_iris(return_X_y=True)
POOL, MORE = slice(0, 150, 2), slice(1, 150, 2)


def shown(rows, labels, first=0):
    return Shown.of(X[rows], X[rows], torch.as_tensor(labels), first)


def parts():
    """Every second row with the labels of every fifth, and the others."""
    few = np.where(np.arange(75) % 5, -1, Y[POOL])
    return {"pool": shown(POOL, few), "held_out": shown(MORE, Y[MORE], 75)}


def test_who_is_not_fitted_learns_from_the_labelled_rows_and_all_are_asked_about_each_part():
    fitted, net, given = LogisticRegression(max_iter=500).fit(X, Y), nn.Linear(4, 3), parts()
    teachers = {"new": GaussianNB(), "fitted": fitted, "net": net}
    labels = Y[POOL][::5]
    ready, banks = teach_and_ask(teachers, given, labels, [0, 1, 2], seed=0)
    assert list(ready) == list(teachers)
    assert ready["fitted"] is fitted
    own = GaussianNB().fit(X[POOL][::5], labels)
    for part, rows in (("pool", POOL), ("held_out", MORE)):
        assert banks[part].names == ("new", "fitted", "net")
        with torch.no_grad():
            expected = [own.predict_proba(X[rows]), fitted.predict_proba(X[rows])]
            expected.append(torch.softmax(net(torch.from_numpy(X[rows]).float()), -1).numpy())
        np.testing.assert_allclose(banks[part].probs, np.stack(expected), atol=1e-5)


def test_banks_say_who_knows_which_classes_in_every_part():
    two = GaussianNB().fit(X[Y < 2], Y[Y < 2])
    _, banks = teach_and_ask(
        {"two": two, "all": GaussianNB().fit(X, Y)}, parts(), Y[POOL][::5], [0, 1, 2], seed=0
    )
    for bank in banks.values():
        assert bank.classes.tolist() == [[True, True, False], [True, True, True]]


def test_rows_after_the_pool_have_numbers_of_their_own():
    given = parts()
    assert given["pool"].rows.index.tolist() == list(range(75))
    assert given["held_out"].rows.index.tolist() == list(range(75, 150))
    assert given["held_out"].rows.ids[0] == "75"


def test_tables_stay_tables_and_lists_become_arrays():
    table = pd.DataFrame(X)
    assert Shown.of(table, X, torch.from_numpy(Y)).own is table
    assert Shown.of(X.tolist(), X, torch.from_numpy(Y)).own is X


def test_nobody_can_be_fitted_without_labels():
    given = {"pool": shown(POOL, np.full(75, -1))}
    with pytest.raises(InputError, match="teacher 'new' is not fitted and y labels no row"):
        teach_and_ask({"new": GaussianNB()}, given, np.array([]), [0, 1, 2], seed=0)


def test_held_out_rows_that_teachers_learn_here_are_told(recwarn):
    given = parts()
    pool, held_out = given["pool"], given["held_out"]
    warn_of_rows_learned({"new": GaussianNB()}, pool, held_out)  # a few are equal by chance
    warn_of_rows_learned({"fitted": GaussianNB().fit(X, Y)}, pool, pool)
    assert not recwarn.list
    with pytest.warns(
        UserWarning, match=r"held_out: 15 of 75 rows .* teachers 'new' are fitted to.*; give rows"
    ):
        warn_of_rows_learned({"new": GaussianNB()}, pool, pool)
