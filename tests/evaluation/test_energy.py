import numpy as np
import pytest

from mtbkd.evaluation.energy import bfmi, energy_changes

az = pytest.importorskip("arviz")


def test_by_hand():
    # changes 1, 3, -4: mean square 26 / 3; values 0, 1, 4, 0 have variance (1.5625 + .0625 + 7.5625 + 1.5625) / 3
    assert bfmi([[0.0, 1, 4, 0]]) == pytest.approx([(26 / 3) / (10.75 / 3)])


def test_it_is_arviz_own():
    energy = np.random.default_rng(0).standard_normal((3, 200)).cumsum(1)
    np.testing.assert_allclose(bfmi(energy), az.bfmi(energy))


def test_independent_energies_have_two():
    energy = np.random.default_rng(0).standard_normal((2, 20_000))
    np.testing.assert_allclose(bfmi(energy), 2, rtol=0.04)


def test_undefined_is_nan():
    assert np.isnan(bfmi([[1.0, 1, 1, 1, 1], [1, 2, 1, 2, 1]])).tolist() == [True, False]
    assert np.isnan(bfmi(np.ones((3, 3)))).all()
    assert bfmi(np.ones((3, 1))).shape == (3,)


def test_changes_and_centred_energies():
    centred, changes = energy_changes([[1.0, 2, 6], [5, 5, 5]])
    np.testing.assert_array_equal(centred, [[-2, -1, 3], [0, 0, 0]])
    np.testing.assert_array_equal(changes, [[1, 4], [0, 0]])
