"""The 911 columns: motifs and groups by hand, and sequences that are short, long or strange."""

import os
from pathlib import Path

import numpy as np
import pytest

from mtbkd.data.localisation_features import BLOCKS, hydrophobic_moments, localisation_features
from mtbkd.data.localisation_motifs import MOTIFS, motif_counts
from mtbkd.data.residue_scales import CONSENSUS
from mtbkd.data.residues import Residues
from mtbkd.data.sequence_features import AMINO_ACIDS

SHARED = os.environ.get("MTBKD_DATA")


def group(features, name):
    """The columns `[n, size]` of one group."""
    first = 0
    for block in BLOCKS:
        if block.name == name:
            return features[:, first : first + block.size]
        first += block.size
    raise KeyError(name)


def motif(text, name):
    return int(motif_counts(text)[list(MOTIFS).index(name)])


@pytest.mark.parametrize(
    ("name", "text", "count"),
    [
        ("kdel", "MAAAKDEL", 1),
        ("kdel", "MAAAHDEL", 1),
        ("kdel", "MKDELAAA", 0),  # not at the end
        ("pts1", "MAAASKL", 1),
        ("pts1", "MAASKLA", 0),
        ("pts1", "MAAPKL", 0),
        ("pts1_wide", "MAAPKL", 1),
        ("pts2", "MARLAAAAAHLG", 1),
        ("kkxx", "MAAKKAA", 1),
        ("kkxx", "MAAKAKAA", 1),
        ("nls_monopartite", "AAPKKKRKVAA", 2),  # of SV40: KKKR and KKRK overlap
        ("nls_bipartite", "KRPAATKKAGQAKKKK", 1),  # of nucleoplasmin
        ("n_glycosylation", "ANGSANPTA", 1),  # not before proline
        ("c2h2", "ACAACAAAAAAAAAAAAHAAAHA", 1),
        ("prenylation_caax", "MAAACVIM", 1),
        ("prenylation_caax", "MAAACVIMA", 0),
        ("myristoylation", "MGAAASAA", 1),
        ("run_q", "A" + "Q" * 10 + "A", 2),
        ("cxxc", "C" * 40, 5),  # no more than five are counted
    ],
)
def test_motifs_by_hand(name, text, count):
    assert motif(text, name) == count


def test_motifs_see_residues_that_are_not_standard():
    assert motif("MAAASKLX", "pts1") == 0
    assert motif("MAAAXSKL", "pts1") == 1


def test_every_group_has_the_columns_it_says():
    features = localisation_features(["M" + "ACDEFGHIKLMNPQRSTVWY" * 4])
    assert features.shape == (1, 911)
    assert sum(block.size for block in BLOCKS) == 911
    assert features.dtype == np.float32
    np.testing.assert_allclose(group(features, "composition")[0, AMINO_ACIDS.index("M")], np.sqrt(5 / 81))


def test_ends_and_compositions():
    features = localisation_features(["MG" + "A" * 60 + "S" * 12 + "KDEL"])
    second, third = group(features, "n_end").reshape(2, 20)
    assert (AMINO_ACIDS[second.argmax()], AMINO_ACIDS[third.argmax()], second.sum()) == ("G", "A", 1)
    last, before, third_last = group(features, "c_end").reshape(3, 20)
    assert "".join(AMINO_ACIDS[x.argmax()] for x in (third_last, before, last)) == "DEL"
    tail = group(features, "c_composition").reshape(4, 20)[1]  # of the last 15
    np.testing.assert_allclose(tail[AMINO_ACIDS.index("S")], np.sqrt(11 / 15), rtol=1e-6)


def test_length_and_whole():
    features = localisation_features(["CKR" + "A" * 97])
    assert group(features, "length")[0].tolist() == pytest.approx([np.log(100), 0, 1, 1, 0])
    whole = group(features, "whole")[0]
    assert whole[0] == pytest.approx(2 / 10)  # net charge over root length
    assert whole[1:3].tolist() == pytest.approx([0.02, 0.02])
    assert (whole[5], whole[6], whole[7]) == (2, 0, 1)  # basic over acidic, log Lys over Arg, odd cysteines
    assert whole[9] == pytest.approx(96 / 100)  # neighbours alike


def test_windows_of_charge():
    # 15 lysines in 60 glycines: a window of 7 within is charged throughout, of 31 by 15 / 31.
    features = localisation_features(["G" * 30 + "K" * 15 + "G" * 30])
    windows = group(features, "windows")[0][:144].reshape(16, 9)
    assert windows[4, 7] == pytest.approx(1)  # the highest of charge in windows of 7
    assert windows[6, 7] == pytest.approx(15 / 31)
    assert windows[4, 0] == windows[4, 3] == 0  # lowest and median
    assert windows[10].tolist() == [0] * 9  # no acids
    hydropathic = group(localisation_features(["G" * 30 + "I" * 19 + "G" * 30]), "windows")[0]
    assert hydropathic[2 * 9 + 7] == pytest.approx(4.5)  # the best window of 19


def test_richest_windows():
    features = group(localisation_features(["A" * 20 + "Q" * 25 + "S" * 60]), "richest")[0]
    assert features[AMINO_ACIDS.index("Q")] == 1
    assert features[20 + AMINO_ACIDS.index("Q")] == pytest.approx(25 / 50)
    assert features[AMINO_ACIDS.index("W")] == 0


def test_a_helix_with_one_hydrophobic_side_has_a_moment():
    # Leucine wherever a turn of 100 degrees comes round to the same side, lysine elsewhere.
    sided = "".join("L" if np.cos(np.deg2rad(100 * i)) > 0 else "K" for i in range(36))
    even = "LK" * 18
    one_sided, mixed = (hydrophobic_moments(Residues.of(text), 18, 100).max() for text in (sided, even))
    assert one_sided > 3 * mixed
    angle = np.deg2rad(100) * np.arange(18)
    values = CONSENSUS[Residues.of(sided[:18]).code]
    expected = abs((values * np.exp(1j * angle)).mean())
    assert hydrophobic_moments(Residues.of(sided), 18, 100)[0] == pytest.approx(expected)


def test_an_alternating_charge_has_its_autocovariance():
    features = group(localisation_features(["KD" * 50]), "autocovariance")[0].reshape(4, 7)
    one, two = features[1, :2]  # of charge, at lags 1 and 2
    assert one == pytest.approx(-two, rel=1e-5)
    assert two > 0


@pytest.mark.parametrize(
    "sequence",
    ["M", "MK", "MKAX", "U" * 5 + "M", "ACDEFGHIKLMNPQRSTVWY" * 2 + "AAAAA", "L" * 999, "MX" * 400, "K" * 45],
)
def test_every_sequence_has_finite_features(sequence):
    assert np.isfinite(localisation_features([sequence])).all()


def test_a_sequence_without_standard_residues_has_zeros():
    assert localisation_features(["XXU"]).any() == np.False_


def test_unknown_residues_are_left_out_and_order_does_not_matter():
    sequences = ["MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ", "MXKTAYIAKQRQISFVKSHFSRUQLEERLGLIEVQ", "MSSNNAAAKDEL"]
    features = localisation_features(sequences)
    without_motifs = np.delete(features, slice(*_place("motifs")), axis=1)
    assert np.array_equal(without_motifs[0], without_motifs[1])
    assert np.array_equal(localisation_features(sequences[::-1]), features[::-1])


def _place(name):
    names = [block.name for block in BLOCKS]
    first = sum(block.size for block in BLOCKS[: names.index(name)])
    return first, first + BLOCKS[names.index(name)].size


@pytest.mark.skipif(SHARED is None, reason="MTBKD_DATA is not set")
def test_real_proteins_have_the_signals_of_their_place():
    file = np.load(Path(SHARED) / "deeploc2_mtbkd.npz")
    classes, y = file["class_names"].tolist(), file["test_label"]
    features = localisation_features(file["test_sequence"].astype(str))
    assert np.isfinite(features).all()
    motifs, membrane = group(features, "motifs"), group(features, "membrane")

    def mean(column, place):
        return column[y == classes.index(place)].mean()

    names = list(MOTIFS)
    kdel, pts1 = motifs[:, names.index("kdel")], motifs[:, names.index("pts1")]
    assert mean(kdel, "Endoplasmic reticulum") > 5 * mean(kdel, "Cytoplasm")
    assert mean(pts1, "Peroxisome") > 5 * mean(pts1, "Nucleus")
    assert mean(motifs[:, 0], "Nucleus") > 1.5 * mean(motifs[:, 0], "Extracellular")
    assert mean(membrane[:, 1], "Cell membrane") > 3 * mean(membrane[:, 1], "Cytoplasm")
