"""The 461 columns, by hand on a short sequence and against an independent computation on 5,500 proteins."""

import os
from pathlib import Path

import numpy as np
import pytest

from mtbkd.data.sequence_features import classical_features, feature_names

SHARED = os.environ.get("MTBKD_DATA")


def column(features, name):
    return features[:, feature_names().index(name)]


def test_a_short_sequence_by_hand():
    features = classical_features(["AACXA"])
    assert features.shape == (1, 461)
    assert features.dtype == np.float32
    # X is left out of counts and denominators: A, A, C, A and the pairs AA, AC
    for part in ("aac", "n40", "c40"):
        assert column(features, f"{part}_A") == 0.75
        assert column(features, f"{part}_C") == 0.25
    assert column(features, "dpc_AA") == column(features, "dpc_AC") == 0.5
    assert column(features, "log_length") == np.float32(np.log(5))
    assert features.sum() == pytest.approx(4 + np.log(5))  # four groups of fractions, each summing to 1


def test_the_ends_are_the_first_and_last_forty_residues():
    features = classical_features(["A" * 40 + "C" * 20 + "D" * 40, "W"])
    assert column(features, "n40_A").tolist() == [1, 0]
    assert column(features, "c40_D").tolist() == [1, 0]
    assert column(features, "aac_C").tolist() == pytest.approx([0.2, 0])
    assert column(features, "dpc_AC") == pytest.approx([1 / 99, 0])
    # No pair reaches from one sequence into the next, and one residue alone has none.
    assert column(features, "dpc_DW").tolist() == [0, 0]
    assert [column(features, f"{part}_W")[1] for part in ("aac", "n40", "c40")] == [1, 1, 1]


def test_only_unknown_residues_give_zeros_and_a_length():
    features = classical_features(["XXU"])
    assert features[0, :460].tolist() == [0] * 460
    assert features[0, 460] == np.float32(np.log(3))


@pytest.mark.skipif(SHARED is None, reason="MTBKD_DATA is not set")
@pytest.mark.parametrize("part", ["train", "test", "ood"])
def test_equal_to_the_features_computed_elsewhere(part):
    expected = np.load(Path(SHARED) / "deeploc2_classical_features.npz")
    sequences = np.load(Path(SHARED) / "deeploc2_mtbkd.npz")[f"{part}_sequence"].astype(str)
    assert expected["feature_names"].tolist() == list(feature_names())
    np.testing.assert_allclose(classical_features(sequences), expected[f"{part}_features"], atol=1e-6)
