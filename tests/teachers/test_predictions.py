"""Predictions on disk reach the right rows and columns, or are refused."""

import numpy as np
import pandas as pd
import pytest
import torch

from mtbkd.errors import InputError
from mtbkd.teachers.predictions import PredictionsConfig, build
from mtbkd.teachers.teacher import NotCovered

N, K = 1797, 10


def probabilities(seed=0):
    """`[N, K]`, one row for every row of the source."""
    return np.random.default_rng(seed).dirichlet(np.ones(K), N)


def expected(p, rows):
    return torch.tensor(p[rows.index.numpy()], dtype=torch.float32)


def table(p, order=None):
    frame = pd.DataFrame(p, columns=[str(k) for k in range(K)])
    return frame if order is None else frame.iloc[order]


def assert_covers(teacher, data, p):
    for split in ("pool", "validation", "test"):
        rows = data.splits[split]
        found = teacher.predict(rows).softmax(-1)[0]
        torch.testing.assert_close(found, expected(p, rows), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_without_ids_is_matched_by_row_number(digits, tmp_path, suffix):
    p = probabilities()
    path = tmp_path / f"p.{suffix}"
    frame = table(p)[[str(k) for k in reversed(range(K))]]  # columns in another order
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    teacher = build("a", PredictionsConfig(str(path), "probabilities"), digits, 0)
    assert_covers(teacher, digits, p)
    with pytest.raises(NotCovered, match="none for ood"):
        teacher.predict(digits.ood)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_ids_bring_rows_into_order(digits, tmp_path, suffix):
    p = probabilities()
    order = np.random.default_rng(1).permutation(N)
    frame = table(p, order).assign(accession=[str(i) for i in order], remark="x")
    path = tmp_path / f"p.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    config = PredictionsConfig(str(path), "probabilities", id_column="accession")
    assert_covers(build("a", config, digits, 0), digits, p)


def test_columns_are_mapped_to_class_names(digits, tmp_path):
    p = probabilities()
    frame = table(p).rename(columns={str(k): f"p_{k}" for k in range(K)})
    frame.to_csv(tmp_path / "p.csv", index=False)
    columns = {f"p_{k}": str(k) for k in range(K)}
    config = PredictionsConfig(str(tmp_path / "p.csv"), "probabilities", columns=columns)
    assert_covers(build("a", config, digits, 0), digits, p)


def test_npz_with_draws_ids_and_class_names(digits, tmp_path):
    z = np.random.default_rng(0).normal(size=(3, N, K))
    order = np.random.default_rng(1).permutation(N)
    classes = np.random.default_rng(2).permutation(K)
    path = tmp_path / "z.npz"
    np.savez(path, logits=z[:, order][:, :, classes], ids=order.astype(str), class_names=classes.astype(str))
    teacher = build("a", PredictionsConfig(str(path), "logits"), digits, 0)
    found = teacher.predict(digits.test)
    assert found.shape == (3, len(digits.test), K)
    np.testing.assert_allclose(found, z[:, digits.test.index.numpy()], rtol=1e-6)


def test_a_file_for_each_split_with_the_hash_of_its_inputs(digits, tmp_path):
    paths, values = {}, {}
    for split, rows in digits.splits.items():
        values[split] = np.random.default_rng(len(rows)).normal(size=(len(rows), K))
        paths[split] = str(tmp_path / f"{split}.npz")
        np.savez(paths[split], logits=values[split], inputs_hash=rows.hash)
    teacher = build("a", PredictionsConfig(paths, "logits"), digits, 0)
    for split, rows in digits.splits.items():
        np.testing.assert_allclose(teacher.predict(rows)[0], values[split], rtol=1e-6)
    swapped = {**paths, "test": paths["validation"]}
    with pytest.raises(InputError, match=r"validation\.npz: its inputs_hash .* another order"):
        build("a", PredictionsConfig(swapped, "logits"), digits, 0)


def test_zeros_are_allowed_in_probabilities(digits, tmp_path):
    p = np.eye(K)[np.arange(N) % K]
    np.savez(tmp_path / "p.npz", probs=p)
    teacher = build("a", PredictionsConfig(str(tmp_path / "p.npz"), "probabilities"), digits, 0)
    assert_covers(teacher, digits, p)


def write(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


def test_rows_that_cannot_be_matched(digits, tmp_path):
    p = probabilities()
    ids = np.arange(N).astype(str)
    few = write(tmp_path / "few.npz", probs=p[:-1])
    with pytest.raises(InputError, match=r"few\.npz: has 1796 rows and no ids, while row 1796 of the source"):
        build("a", PredictionsConfig(few, "probabilities"), digits, 0)
    gone = digits.test.ids[7]
    keep = ids != gone
    path = write(tmp_path / "gone.npz", probs=p[keep], ids=ids[keep])
    with pytest.raises(InputError, match=rf"no prediction for id '{gone}' \(1 of {len(digits.test)} rows"):
        build("a", PredictionsConfig(path, "probabilities"), digits, 0)
    twice = write(tmp_path / "twice.npz", probs=p, ids=np.where(ids == "5", "6", ids))
    with pytest.raises(InputError, match="id '6' is there twice"):
        build("a", PredictionsConfig(twice, "probabilities"), digits, 0)


def test_values_that_are_refused(digits, tmp_path):
    p = probabilities()
    row = int(digits.pool.index[17])
    p[row] *= 0.83
    path = write(tmp_path / "p.npz", probs=p)
    with pytest.raises(InputError, match=r"teacher 'esm': row 17 sums to 0\.83, not 1"):
        build("esm", PredictionsConfig(path, "probabilities"), digits, 0)
    with pytest.raises(InputError, match=r"no array 'logits'; .*probs"):
        build("esm", PredictionsConfig(path, "logits"), digits, 0)
    z = np.zeros((N, K))
    z[row, 2] = -np.inf
    path = write(tmp_path / "z.npz", logits=z)
    with pytest.raises(InputError, match="'esm': row 17, class 2 is -inf"):
        build("esm", PredictionsConfig(path, "logits"), digits, 0)


def test_columns_and_classes_that_are_missing(digits, tmp_path):
    path = str(tmp_path / "p.csv")
    table(probabilities()).drop(columns="3").to_csv(path, index=False)
    with pytest.raises(InputError, match=r"p\.csv: has no column '3'"):
        build("a", PredictionsConfig(path, "probabilities"), digits, 0)
    columns = {str(k): str(k) for k in range(K) if k != 3}
    with pytest.raises(InputError, match="class '3' has no column; add it to columns"):
        build("a", PredictionsConfig(path, "probabilities", columns=columns), digits, 0)
    with pytest.raises(InputError, match="columns names the class '30'; did you mean '3'"):
        build("a", PredictionsConfig(path, "probabilities", columns={**columns, "x": "30"}), digits, 0)
    doubled = {**columns, "x": "4"}
    with pytest.raises(InputError, match="one class two columns"):
        build("a", PredictionsConfig(path, "probabilities", columns=doubled), digits, 0)
    whole = str(tmp_path / "whole.csv")
    table(probabilities()).to_csv(whole, index=False)
    with pytest.raises(InputError, match="has no column 'id'"):
        build("a", PredictionsConfig(whole, "probabilities", id_column="id"), digits, 0)
    narrow = write(tmp_path / "n.npz", probs=np.full((N, 2), 0.5), class_names=np.array(["0", "1"]))
    with pytest.raises(InputError, match="has 2 columns for the classes 0, 1; wanted are 10"):
        build("a", PredictionsConfig(narrow, "probabilities"), digits, 0)
    table(probabilities()).assign(**{"3": "many"}).to_csv(path, index=False)
    with pytest.raises(InputError, match="something else than numbers"):
        build("a", PredictionsConfig(path, "probabilities"), digits, 0)


def test_files_that_cannot_be_read(digits, tmp_path):
    def refused(path, match):
        with pytest.raises(InputError, match=match):
            build("a", PredictionsConfig(str(path), "probabilities"), digits, 0)

    refused(tmp_path / "none.npz", "no file")
    whole = tmp_path / "p.npz"
    np.savez(whole, probs=probabilities())
    cut = tmp_path / "cut.npz"
    cut.write_bytes(whole.read_bytes()[:5000])
    refused(cut, "truncated")
    parquet = tmp_path / "p.parquet"
    table(probabilities()).to_parquet(parquet)
    parquet.write_bytes(parquet.read_bytes()[:2000])
    refused(parquet, "cannot be read")
    empty = tmp_path / "p.csv"
    empty.write_text("")
    refused(empty, "cannot be read")
    other = tmp_path / "p.txt"
    other.write_text("")
    refused(other, r"neither \.npz, \.csv nor \.parquet")
    objects = tmp_path / "o.npz"
    np.savez(objects, probs=np.array([[{"a": 1}]], dtype=object))
    refused(objects, "cannot be read")


@pytest.mark.parametrize(
    ("path", "values", "message"),
    [
        ("p.npz", "logit", "values: unknown value 'logit'; did you mean 'logits'"),
        ({"train": "p.npz"}, "logits", "path: unknown value 'train'"),
        ({"test": "p.npz"}, "logits", "no file for the pool"),
        (3, "logits", "path is 3"),
    ],
)
def test_configurations_are_checked(path, values, message):
    with pytest.raises(InputError, match=message):
        PredictionsConfig(path, values)


# ---- some of the classes -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("suffix", ["csv", "npz"])
def test_predictions_of_some_classes(digits, tmp_path, suffix, named):
    p = np.random.default_rng(0).dirichlet(np.ones(3), N)
    path, classes = tmp_path / f"p.{suffix}", ["8", "0", "5"]
    if suffix == "csv":
        columns = ["a", "b", "c"] if named else classes
        pd.DataFrame(p, columns=columns).assign(other=1.0).to_csv(path, index=False)
    else:
        np.savez(path, probs=p[:, ::-1] if named else p, **({"class_names": classes[::-1]} if named else {}))
    mapping = dict(zip("abc", classes, strict=True)) if named and suffix == "csv" else None
    config = PredictionsConfig(str(path), "probabilities", columns=mapping, classes=classes)
    teacher = build("a", config, digits, 0)
    assert teacher.known == (0, 5, 8)
    z = teacher.predict(digits.test)[0]
    torch.testing.assert_close(z[:, [8, 0, 5]].exp(), expected(p, digits.test), rtol=1e-5, atol=1e-7)
    assert (z[:, [1, 2, 3, 4, 6, 7, 9]] == -torch.inf).all()


def test_a_class_that_the_data_does_not_have(digits, tmp_path):
    with pytest.raises(InputError, match="teacher 'a': its class '10' is not among"):
        build("a", PredictionsConfig(str(tmp_path / "p.csv"), "logits", classes=["1", "10"]), digits, 0)
