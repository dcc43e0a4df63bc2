"""Membrane segments and targeting peptides on sequences made for the purpose."""

import numpy as np
import pytest

from mtbkd.data.residue_scales import HYDROPATHY
from mtbkd.data.residues import Residues
from mtbkd.data.sorting_signals import (
    cleavage_sites,
    extent,
    membrane_features,
    membrane_segments,
    targeting_features,
)

# Glycine (-0.4) and serine (-0.8) are mild, leucine (3.8) is hydropathic, asparagine (-3.5) is not.
TWO_SEGMENTS = "N" * 30 + "L" * 19 + "N" * 30 + "L" * 19 + "N" * 12


def test_segments_are_found_where_they_were_put():
    starts, means = membrane_segments(Residues.of(TWO_SEGMENTS).track("hydropathy"))
    assert starts.tolist() == [30, 79]
    assert means == pytest.approx([3.8, 3.8])
    assert len(membrane_segments(Residues.of("N" * 60).track("hydropathy"))[0]) == 0


def test_membrane_features_count_and_place_segments():
    found = membrane_features(Residues.of(TWO_SEGMENTS))
    assert len(found) == 41
    assert found[:4].tolist() == [2, 2, 2, 2]  # candidates, crossing, certain, beyond the first 20 residues
    assert found[4] == pytest.approx(np.log(3))
    assert found[5:11].tolist() == [1, 0, 0, 1, 0, 0]  # any; none, one, two, four, six in the body
    assert found[11] == pytest.approx(38 / 110)
    assert found[12:16] == pytest.approx([0.30, 0.12, 0, 0])  # residues before the first and after the last
    assert found[20] == 19  # asparagine ends the hydrophobic stretch at once
    assert found[21 + 9] == 1  # all leucine


def test_charges_beside_segments_tell_the_sides():
    found = membrane_features(Residues.of("N" * 20 + "KKK" + "L" * 19 + "DD" + "N" * 30))
    assert found[16:20].tolist() == [3, -2, 3, -2]  # one segment is first and last


def test_a_segment_at_the_start_is_no_segment_of_the_body():
    found = membrane_features(Residues.of("NNN" + "L" * 19 + "N" * 60))
    assert found[[1, 3]].tolist() == [1, 0]
    assert found[14:16].tolist() == [1, 0]  # starts within 15 residues


def test_without_segments_the_features_say_so():
    found = membrane_features(Residues.of("N" * 80))
    assert found[:12].tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    assert found[12:14].tolist() == [0.8, 0.8]
    assert found[16:].tolist() == [0] * 25


def test_extent_goes_on_through_mild_residues():
    hydropathy = Residues.of("N" * 5 + "GS" + "L" * 19 + "G" + "N" * 5).track("hydropathy")
    assert extent(hydropathy, 7) == 22


def test_a_signal_peptide():
    # n-region with two lysines, a core of 12 leucines, A-X-A before the cut, then acids.
    found = targeting_features(Residues.of("MKK" + "L" * 12 + "ASA" + "DE" * 20))
    assert len(found) == 45
    value, place, charge, positive, acids = found[:5]  # the best window of 8
    assert (value, place, charge, positive, acids) == pytest.approx((3.8, 3 / 20, 2, 2, 0))
    assert found[5:10] == pytest.approx([3.8, 3 / 20, 2, 2, 1])  # of 12: the next four are A, S, A, D
    assert found[10] == 1  # somewhere behind the core signal peptidase may cut
    assert found[15:18] == pytest.approx([1, 0, 0])  # leucine, alanine, proline of the core and round its end
    assert found[18:21] == pytest.approx([18 / 20, 19 / 20, 20 / 20])  # the first three acids


def test_a_transit_peptide_is_rich_in_arginine_and_serine_and_lacks_acids():
    found = targeting_features(Residues.of("MARSLARSSARRSLAASSRA" + "G" * 80))
    arginine, charge, acids, hydroxyl, over_lysine, alanine = found[21:27]  # of the first 20
    assert (arginine, charge, acids, hydroxyl, over_lysine, alanine) == (5, 5, 0, 6, 5, 6)
    assert found[18:21].tolist() == [5, 6, 6]  # no acid at all


def test_cleavage_needs_small_residues_at_minus_one_and_minus_three():
    protein = Residues.of("LLLAWALV")
    # Before position 6 stand A (-1) and A (-3); before 4 A and L; before 5 W at -1; before 7 L at -1.
    assert cleavage_sites(protein, 4, 8).tolist() == [1, 0, 1, 0]
    assert cleavage_sites(protein, 8, 8).tolist() == []


def test_hydropathy_is_that_of_kyte_and_doolittle():
    assert (HYDROPATHY.max(), HYDROPATHY.min(), HYDROPATHY.sum()) == pytest.approx((4.5, -4.5, -9.8))
