"""Proteins from CSV and npz: rows, splits, labels and logits that belong together, and nothing that leaks."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from mtbkd.data.localisation_features import localisation_features
from mtbkd.data.proteins import ProteinsConfig, load
from mtbkd.data.sequence_features import classical_features, feature_names
from mtbkd.errors import InputError

SHARED = os.environ.get("MTBKD_DATA")
# The tiny files put a whole class into the validation rows.
pytestmark = pytest.mark.filterwarnings("ignore:.*no labelled example:UserWarning")
needs_shared = pytest.mark.skipif(SHARED is None, reason="MTBKD_DATA is not set")
CSV = """Accession,Sequence,Location,Split
P1,MKTAYIAK,Nucleus,train
P2,mawqrs*,Cytoplasm,train
P3,MSSNNAAA,,train
P4,GGLLKKXU,Nucleus,validation
NA,NA,Cytoplasm,test
P6,MVSWIISR,Nowhere,ood
"""


def arrays(**changes):
    """A tiny file in DeepLoc's format: 4 train, 2 test, 1 ood rows, 2 teachers, 3 classes."""
    logits = np.arange(36, dtype=np.float32).reshape(6, 2, 3)
    made = {
        "class_names": np.array(["a", "b", "c"]),
        "teacher_names": np.array(["one", "two"]),
        "train_sequence": np.array([b"MKTAYI", b"MAWQ", b"MSSNN", b"GGLL"]),
        "train_label": np.array([0, 1, 2, 0]),
        "train_accession": np.array([b"P1", b"P2", b"P3", b"P4"]),
        "train_teacher_logits": logits[:4],
        "train_fit_index": np.array([3, 0, 1]),
        "train_val_index": np.array([2]),
        "test_sequence": np.array([b"MVSW", b"AAAA"]),
        "test_label": np.array([1, 2]),
        "test_accession": np.array([b"P5", b"P6"]),
        "test_teacher_logits": logits[4:],
        "ood_sequence": np.array([b"WWWW"]),
        "ood_accession": np.array([b"P7"]),
    }
    return {name: value for name, value in (made | changes).items() if value is not None}


@pytest.fixture
def from_npz(tmp_path):
    def make(config=None, **changes):
        np.savez(tmp_path / "mine.npz", **arrays(**changes))
        return load(ProteinsConfig(path=str(tmp_path / "mine.npz"), **(config or {})), seed=0)

    return make


@pytest.fixture
def from_csv(tmp_path):
    def make(text=CSV, seed=0, **config):
        (tmp_path / "mine.csv").write_text(text)
        return load(ProteinsConfig(path=str(tmp_path / "mine.csv"), **config), seed)

    return make


def test_npz_rows_labels_names_and_logits_belong_together(from_npz):
    data = from_npz()
    assert data.pool.index.tolist() == [0, 1, 3]
    assert data.pool.ids.tolist() == ["P1", "P2", "P4"]
    assert data.pool.raw.tolist() == ["MKTAYI", "MAWQ", "GGLL"]
    assert data.pool.y.tolist() == data.teacher_y.tolist() == [0, 1, 0]
    assert (data.validation.index.tolist(), data.validation.y.tolist()) == ([2], [2])
    assert (data.test.index.tolist(), data.test.ids.tolist()) == ([4, 5], ["P5", "P6"])
    assert (data.ood.index.tolist(), data.ood.y.tolist()) == ([6], [-1])
    assert (data.kind, data.class_names) == ("sequence", ("a", "b", "c"))
    assert set(data.supplied) == {"one", "two"}
    assert set(data.supplied["one"]) == {"pool", "validation", "test"}
    all_logits = torch.arange(36.0).reshape(6, 2, 3)
    for m, name in enumerate(("one", "two")):
        for part in ("pool", "validation", "test"):
            assert torch.equal(data.supplied[name][part], all_logits[data.splits[part].index, m])


def test_features_are_standardised_on_the_pool(from_npz):
    data = from_npz()
    raw = classical_features(data.pool.raw)
    mean, deviation = raw.mean(0), raw.std(0)
    deviation[deviation == 0] = 1
    np.testing.assert_allclose(data.pool.x, (raw - mean) / deviation, atol=1e-5)
    np.testing.assert_allclose(data.test.x, (classical_features(data.test.raw) - mean) / deviation, atol=2e-5)


def test_balanced_features_are_roots_with_pairs_weighted_down(from_npz):
    data = from_npz({"treatment": "balanced"})
    column = feature_names().index("aac_L")  # 0, 0, .5 in the pool: roots 0, 0, sqrt(.5)
    np.testing.assert_allclose(data.pool.x[:, column], np.array([-1, -1, 2]) / 2**0.5, atol=1e-5)
    pair = feature_names().index("dpc_LL")  # 0, 0, 1/3
    np.testing.assert_allclose(data.pool.x[:, pair], np.array([-1, -1, 2]) / 40**0.5, atol=1e-5)
    assert data.test.x.abs().max() <= 3
    assert (data.pool.x[:, feature_names().index("dpc_WW")] == 0).all()


def test_localisation_features_take_their_blocks_and_limit(from_npz):
    data = from_npz({"features": "localisation", "treatment": "balanced"})
    features = localisation_features(data.pool.raw)
    standardised = (features[:, 0] - features[:, 0].mean()) / features[:, 0].std()  # log length, scale 1
    np.testing.assert_allclose(data.pool.x[:, 0], standardised, atol=1e-5)
    assert data.input_shape == (911,)
    assert data.test.x.abs().max() <= 4 * 1.5


def test_rotation_keeps_distances_between_proteins(from_npz):
    plain, turned = from_npz({"treatment": "balanced"}), from_npz({"treatment": "balanced", "rotate": True})
    both = [torch.cat([data.pool.x, data.test.x]) for data in (plain, turned)]
    np.testing.assert_allclose(torch.cdist(both[1], both[1]), torch.cdist(both[0], both[0]), atol=1e-3)
    assert not torch.allclose(both[0], both[1])


def test_held_out_rows_do_not_reach_the_pool(from_npz):
    other = arrays()["train_sequence"].copy()
    other[2] = b"WWWWW"  # the validation row
    changed = from_npz(
        train_sequence=other, test_sequence=np.array([b"CCCC", b"YYYYYY"]), test_label=np.array([0, 0])
    )
    data = from_npz()
    assert torch.equal(changed.pool.x, data.pool.x)
    assert not torch.equal(changed.test.x, data.test.x)
    assert not torch.equal(changed.validation.x, data.validation.x)


def test_fit_on_all_moves_the_validation_rows_into_the_pool(from_npz):
    data = from_npz({"fit_on": "all"})
    assert data.pool.index.tolist() == [0, 1, 2, 3]
    assert len(data.validation) == 0
    assert torch.equal(data.supplied["two"]["pool"], torch.arange(36.0).reshape(6, 2, 3)[:4, 1])


def test_npz_without_inner_split_test_or_teachers(from_npz):
    absent = [
        name for name in arrays() if name.startswith(("test", "ood", "teacher", "train_fit", "train_val"))
    ]
    data = from_npz({"validation_fraction": 0.25}, train_teacher_logits=None, **dict.fromkeys(absent))
    assert set(data.splits) == {"pool", "validation"}
    assert (len(data.pool), len(data.validation), data.supplied) == (3, 1, {})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_label": np.array([0, 1])}, r"train_label has 2 rows, train_sequence 4"),
        ({"train_label": np.array([0, 1, 3, 0])}, r"label '3' at row 2 is none of the classes"),
        ({"train_label": None}, r"no array 'train_label'"),
        ({"test_label": None}, r"test row 'P5' has no label"),
        ({"test_teacher_logits": np.zeros((2, 2, 4))}, r"shape \(2, 2, 4\), not \(2, 2, 3\)"),
        ({"train_val_index": np.array([4])}, r"train_val_index reaches from 4 to 4; rows are 0\.\.3"),
        ({"train_val_index": np.array([0])}, r"share rows"),
        ({"train_fit_index": np.array([0, 0])}, r"train_fit_index names row 0 twice"),
        ({"ood_sequence": np.array([b""])}, r"protein 'P7' \(row 6\): its sequence is empty"),
        ({"test_sequence": np.array([b"MK-T", b"A"])}, r"protein 'P5' \(row 4\): its sequence holds '-'"),
    ],
)
def test_bad_npz_is_told(from_npz, changes, message):
    with pytest.raises(InputError, match=message):
        from_npz(**changes)


def test_csv_with_its_own_split(from_csv):
    data = from_csv()
    assert data.class_names == ("Cytoplasm", "Nucleus")
    assert data.pool.ids.tolist() == ["P1", "P2", "P3"]
    assert data.pool.y.tolist() == [1, 0, -1]
    assert data.pool.raw.tolist() == ["MKTAYIAK", "MAWQRS", "MSSNNAAA"]
    assert (data.validation.ids.tolist(), data.validation.y.tolist()) == (["P4"], [1])
    assert (data.test.ids.tolist(), data.test.raw.tolist()) == (["NA"], ["NA"])  # not a missing value
    assert data.ood.ids.tolist() == ["P6"]
    assert data.pool.index.tolist() == [0, 1, 2]


def test_csv_without_split_is_split_by_the_seed(from_csv):
    rows = [f"{'ACDEFGHIKL'[i % 10] * (i + 1)},{'xyz'[i % 3]}" for i in range(60)]
    text = "sequence,label\n" + "\n".join(rows)
    data = from_csv(text, validation_fraction=0.1, test_fraction=0.2, labelled_fraction=0.5)
    assert [len(part) for part in data.splits.values()] == [42, 6, 12]
    assert np.bincount(data.test.y).tolist() == [4, 4, 4]
    assert (data.pool.y >= 0).sum() == 21
    assert data.pool.ids.tolist() == [str(i) for i in data.pool.index.tolist()]
    assert from_csv(text, seed=1).pool.hash != from_csv(text, seed=2).pool.hash


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sequense,label\nMK,a\n", r"no column 'sequence' in .*did you mean 'sequense'\?"),
        ("sequence,id\nMK,a\n", r"no column 'label'"),
        ("sequence,label,split\nMK,a,tran\n", r"column 'split': 'tran' at row 0"),
        ("sequence,label,split\nMK,a,train\nMKL,b\n", r"column 'split': '' at row 1"),
        ("sequence,label\nMK,a\nM1,b\n", r"row 1\): its sequence holds '1'"),
        ("sequence,label\nMK,a\nML,a\n", r"1 class \(a\); at least 2"),
        ("", r"mine\.csv: cannot be read"),
    ],
)
def test_bad_csv_is_told(from_csv, text, message):
    with pytest.raises(InputError, match=message):
        from_csv(text)


def test_bad_settings_are_told(tmp_path):
    with pytest.raises(InputError, match=r"data\.path is not set"):
        load(ProteinsConfig(), 0)
    (tmp_path / "mine.fasta").write_text(">P1\nMK\n")
    with pytest.raises(InputError, match="neither"):
        load(ProteinsConfig(path=str(tmp_path / "mine.fasta")), 0)
    with pytest.raises(InputError, match=r"did you mean 'esm2'\?"):
        ProteinsConfig(features="esm")
    with pytest.raises(InputError, match="knows no kinds of columns in features=esm2"):
        ProteinsConfig(features="esm2", treatment="balanced")
    with pytest.raises(InputError, match="esm_batch_size is 0"):
        ProteinsConfig(esm_batch_size=0)


def test_esm_features_take_the_settings(from_csv, monkeypatch):
    calls = []

    def fake(sequences, *settings):
        calls.append(settings)
        return np.array([[len(s), i] for i, s in enumerate(sequences)], np.float32)

    monkeypatch.setattr("mtbkd.data.proteins.esm_features", fake)
    data = from_csv(features="esm2", esm_model="here", esm_layer=3, esm_batch_size=2, esm_max_length=9)
    assert calls == [("here", 3, 2, 9, "cpu")]
    lengths = np.array([8, 6, 8])
    np.testing.assert_allclose(data.pool.x[:, 0], (lengths - lengths.mean()) / lengths.std(), atol=1e-6)


@needs_shared
def test_the_papers_file():
    data = load(ProteinsConfig(path=str(Path(SHARED) / "deeploc2_mtbkd.npz")), 0)
    assert [len(rows) for rows in data.splits.values()] == [2000, 500, 1000, 2000]
    assert data.input_shape == (461,)
    assert torch.bincount(data.test.y).tolist() == [206, 251, 138, 118, 102, 40, 65, 41, 25, 14]
    y = torch.cat([data.pool.y, data.validation.y])
    assert torch.bincount(y).tolist() == [506, 589, 349, 317, 262, 137, 169, 67, 80, 24]
    # Accuracies of the two teachers as published with the file; misaligned rows would give about .2.
    for teacher, test, train in (("ESM_650M", 0.752, 0.812), ("T5", 0.761, 0.830)):
        right = {part: (z.argmax(1) == data.splits[part].y) for part, z in data.supplied[teacher].items()}
        assert right["test"].float().mean().item() == pytest.approx(test, abs=1e-6)
        both = torch.cat([right["pool"], right["validation"]]).float().mean().item()
        assert both == pytest.approx(train, abs=1e-6)
    assert data.pool.x.mean(0).abs().max() < 1e-5
    np.testing.assert_allclose(data.pool.x.std(0, correction=0), 1, atol=1e-4)


def test_teachers_may_be_shown_other_features(tmp_path):
    path = tmp_path / "p.csv"
    sequences = ["MKVLAA", "MSTTRR", "MAAAGG", "MDDEEK", "MLLLVV", "MKKRRH"] * 4
    path.write_text(
        "\n".join(["sequence,label", *(f"{s},{'ab'[i % 2]}" for i, s in enumerate(sequences))]) + "\n"
    )
    data = load(ProteinsConfig(path=str(path), views=["localisation"]), 0)
    alone = load(ProteinsConfig(path=str(path), features="localisation"), 0)
    assert data.input_shape == (461,)
    assert torch.equal(data.pool.views["localisation"], alone.pool.x)
    assert torch.equal(data.test.views["localisation"], alone.test.x)
    with pytest.raises(InputError, match=r"data\.views: unknown value 'local'"):
        ProteinsConfig(views=["local"])
