"""Questions about stretches of a sequence, by hand."""

import numpy as np
import pytest

from mtbkd.data.residue_scales import PROPERTIES
from mtbkd.data.residues import Residues, first_highest, quantiles, window_means
from mtbkd.data.sequence_features import AMINO_ACIDS

A, C, W = (AMINO_ACIDS.index(letter) for letter in "ACW")


def test_residues_that_are_not_standard_are_left_out_of_all_but_the_text():
    protein = Residues.of("AXCUW")
    assert (len(protein), protein.text) == (3, "AXCUW")
    assert protein.code.tolist() == [A, C, W]


def test_shares_and_counts_of_a_stretch():
    protein = Residues.of("AACW")
    assert protein.share(0, 4)[[A, C, W]].tolist() == [0.5, 0.25, 0.25]
    assert protein.share(2, 100)[[A, C, W]].tolist() == [0, 0.5, 0.5]  # as far as it reaches
    assert protein.share(50, 60).tolist() == [0] * 20
    assert (protein.count("AC", 0, 3), protein.count("A", 1, 9), protein.count("W", 9, 20)) == (3, 1, 0)


def test_tracks_are_the_published_scales():
    protein = Residues.of("IRD")
    assert protein.track("hydropathy").tolist() == [4.5, -4.5, -3.5]
    assert protein.track("charge").tolist() == [0, 1, -1]
    assert protein.track("positive").tolist() == [0, 1, 0]
    assert protein.track("negative").tolist() == [0, 0, 1]
    np.testing.assert_allclose(PROPERTIES.mean(1), 0, atol=1e-12)
    np.testing.assert_allclose(PROPERTIES.std(1), 1)
    np.testing.assert_allclose(protein.property_means(0, 2), PROPERTIES[:, protein.code[:2]].mean(1))


def test_window_means():
    values = np.array([1.0, 3.0, 5.0, 9.0])
    assert window_means(values, 2).tolist() == [2, 4, 7]
    assert window_means(values, 4).tolist() == [4.5]
    assert window_means(values, 9).tolist() == [4.5]  # shorter than the window: the whole
    assert window_means(np.stack([values, -values]), 2).tolist() == [[2, 4, 7], [-2, -4, -7]]


def test_the_first_of_equal_windows_is_the_highest():
    assert first_highest(np.array([0.1 + 0.2, 0.3, 0.1])) == 0
    assert first_highest(np.array([0.3, 0.1 + 0.2, 0.1])) == 0  # which is larger by a rounding error
    assert first_highest(np.array([-np.inf, 1.0, 2.0])) == 2


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_quantiles_are_numpys(size):
    values = np.random.default_rng(size).normal(size=size)
    levels = np.array([0, 0.05, 0.5, 0.97, 1])
    np.testing.assert_allclose(quantiles(values, levels), np.quantile(values, levels), rtol=1e-12)
