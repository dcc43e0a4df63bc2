"""Users' own tables: every kind of column against numbers known by hand or by scikit-learn."""

import numpy as np
import pandas
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.feature_extraction.text import TfidfVectorizer

from mtbkd.data.table import TableConfig, load
from mtbkd.errors import InputError


def frame(**changes):
    """Eight rows: 4 pool, 1 validation, 2 test, 1 ood."""
    columns = {
        "size": [1.0, 3.0, 1.0, 3.0, 5.0, 7.0, 9.0, 11.0],
        "colour": ["red", "blue", "red", "red", "blue", "green", "red", "blue"],
        "part": ["train", "pool", "pool", "pool", "validation", "test", "test", "ood"],
        "code": ["007", "008", "009", "010", "011", "012", "013", "014"],
        "label": ["yes", "no", "no", None, "yes", "no", "yes", "never"],
    }
    return pandas.DataFrame({k: v for k, v in (columns | changes).items() if v is not None})


@pytest.fixture
def from_table(tmp_path):
    def make(table=None, suffix=".csv", seed=0, **settings):
        path = tmp_path / f"mine{suffix}"
        table = frame() if table is None else table
        table.to_csv(path, index=False) if suffix == ".csv" else table.to_parquet(path)
        known = {"target": "label", "id_column": "code", "split_column": "part"}
        chosen = {k: v for k, v in known.items() if v in table} | settings
        return load(TableConfig(path=str(path), **chosen), seed)

    return make


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_numbers_categories_ids_and_parts(from_table, suffix):
    data = from_table(suffix=suffix)
    assert data.class_names == ("no", "yes")
    # size: pool mean 2, deviation 1; colours of the pool: blue, red; green is in none of them
    assert data.pool.x.tolist() == [[-1, 0, 1], [1, 1, 0], [-1, 0, 1], [1, 0, 1]]
    assert data.validation.x.tolist() == [[3, 1, 0]]
    assert data.test.x.tolist() == [[5, 0, 0], [7, 0, 1]]
    assert data.ood.x.tolist() == [[9, 1, 0]]
    assert data.pool.y.tolist() == data.teacher_y.tolist() == [1, 0, 0, -1]
    assert (data.validation.y.tolist(), data.test.y.tolist()) == ([1], [0, 1])
    assert data.pool.ids.tolist() == ["007", "008", "009", "010"]
    assert data.test.index.tolist() == [5, 6]
    assert data.pool.raw.tolist()[0] == ["1.0", "red"]


def test_held_out_rows_do_not_reach_the_pool(from_table):
    text = ["a cat", "the dog sat", "a cat", "dog dog", "bird", "fish cat", "cow", "emu"]
    data = from_table(frame(note=text), text_column="note")
    other = frame(note=text)
    other.loc[4:, "size"] = [500.0, -7.0, 0.0, 3.0]
    other.loc[4:, "colour"] = "black"
    other.loc[4:, "note"] = "dog words that no pool row has"
    changed = from_table(other, text_column="note")
    assert torch.equal(changed.pool.x, data.pool.x)
    for part in ("validation", "test", "ood"):
        assert not torch.equal(changed.splits[part].x, data.splits[part].x)


def test_text_becomes_tfidf_of_the_pool(from_table):
    text = ["a cat sat", "the dog sat", "a cat", "dog dog", "bird", "fish cat", "cow sat", ""]
    data = from_table(
        frame(note=text, colour=None, size=None), text_column="note", max_features=3, missing="median"
    )
    words = TfidfVectorizer(max_features=3).fit(text[:4])
    np.testing.assert_allclose(data.pool.x, words.transform(text[:4]).toarray(), atol=1e-7)
    np.testing.assert_allclose(data.test.x, words.transform(text[5:7]).toarray(), atol=1e-7)
    assert data.ood.x.tolist() == [[0, 0, 0]]
    assert data.test.raw.tolist() == [["fish cat"], ["cow sat"]]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_gaps_take_the_pools_median_or_a_category_of_their_own(from_table, suffix):
    table = frame(
        size=pandas.array([1, 3, None, 5, None, 7, 9, 11], dtype="Int64"),
        colour=["red", None, "red", "red", None, "red", "red", "red"],
    )
    data = from_table(table, suffix=suffix, missing="median")
    size = np.array([1, 3, 3, 5])  # the median of 1, 3, 5 for the gap
    np.testing.assert_allclose(data.pool.x[:, 0], (size - 3) / size.std(), atol=1e-6)
    assert data.validation.x[0, 0] == 0
    assert data.pool.x[:, 1:].tolist() == [[0, 1], [1, 0], [0, 1], [0, 1]]
    assert data.validation.x[0, 1:].tolist() == [1, 0]
    with pytest.raises(
        InputError, match=r"column 'colour' has no value at row 1; fill it in.*missing=median"
    ):
        from_table(table, suffix=suffix)


def test_columns_may_be_chosen_and_booleans_are_numbers(from_table):
    data = from_table(frame(flag=[True, False] * 4), columns=["flag"])
    assert data.pool.x.tolist() == [[1], [-1], [1], [-1]]
    assert data.pool.raw.tolist() == [[1], [0], [1], [0]]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_true_false_and_a_gap_are_numbers_too(from_table, tmp_path, suffix):
    """Of the pool, 1, 0, 0 and a gap, the median is 0; the mean then 1/4, the deviation sqrt(3)/4."""
    flag = np.array([True, False, False, None, None, True, False, True], object)
    data = from_table(frame(flag=flag), suffix, columns=["flag"], missing="median")
    high, low = 3**0.5, -(3**-0.5)
    np.testing.assert_allclose(data.pool.x[:, 0], [high, low, low, low], rtol=1e-6)
    np.testing.assert_allclose(data.test.x[:, 0], [high, low], rtol=1e-6)
    np.testing.assert_array_equal(data.pool.raw[:, 0], [1, 0, 0, np.nan])
    (tmp_path / "new.csv").write_text("flag\nTRUE\nFALSE\n")
    same = from_table(
        frame(flag=flag), suffix, columns=["flag"], missing="median", ood_path=str(tmp_path / "new.csv")
    )
    np.testing.assert_allclose(same.ood.x[:, 0], [high, high, low], rtol=1e-6)
    with pytest.raises(InputError, match="column 'flag' has no value at row 3"):
        from_table(frame(flag=flag), suffix, columns=["flag"])


def test_npz_of_iris_equals_standardisation_by_hand(tmp_path):
    x, y = load_iris(return_X_y=True)
    np.savez(tmp_path / "iris.npz", x=x, y=np.where(np.arange(150) < 5, -1, y))
    data = load(TableConfig(str(tmp_path / "iris.npz"), validation_fraction=0.2, test_fraction=0.2), seed=0)
    assert [len(rows) for rows in data.splits.values()] == [92, 29, 29]  # of 145 labelled ones 20 % and 20 %
    assert data.class_names == ("0", "1", "2")
    pool = x[data.pool.index]
    for rows in data.splits.values():
        expected = (x[rows.index] - pool.mean(0)) / pool.std(0)
        np.testing.assert_allclose(rows.x, expected, atol=1e-5)
        assert np.array_equal(rows.raw, x[rows.index])
    assert data.pool.y[data.pool.index < 5].tolist() == [-1] * 5
    assert np.array_equal(data.test.y, y[data.test.index])


def test_whole_numbers_with_gaps_are_labels(from_table):
    labels = pandas.array([1, 0, None, 1, 0, 1, 0, 1], dtype="Int64")
    for suffix in (".csv", ".parquet"):
        data = from_table(frame(label=labels), suffix=suffix)
        assert (data.pool.y.tolist(), data.class_names) == ([1, 0, -1, 1], ("0", "1"))


def test_npz_arrays_may_have_other_names(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, f=np.eye(4), c=["b", "a", "b", "a"], id=[-1, 5, 6, 7], s=["pool", "pool", "test", "test"])
    data = load(TableConfig(str(path), inputs="f", target="c", id_column="id", split_column="s"), seed=0)
    assert (data.pool.ids.tolist(), data.pool.y.tolist()) == (["-1", "5"], [1, 0])
    assert data.test.index.tolist() == [2, 3]


def test_without_labels_the_class_names_are_needed(from_table):
    table = frame(part=None, label=None, code=None)
    data = from_table(table, class_names=["no", "yes"])
    assert set(data.splits) == {"pool"}
    assert data.pool.y.tolist() == [-1] * 8
    with pytest.raises(
        InputError, match=r"data\.target is not set; name the label column .*\(size, colour\)"
    ):
        from_table(table)


def test_class_names_fix_the_order(from_table):
    assert from_table(class_names=["yes", "no"]).pool.y.tolist() == [0, 1, 1, -1]


def test_another_file_may_be_out_of_distribution(from_table, tmp_path):
    frame(size=[100.0] * 8).to_csv(tmp_path / "other.csv")
    data = from_table(ood_path=str(tmp_path / "other.csv"))
    assert data.ood.index.tolist() == [7, *range(8, 16)]
    assert data.ood.x[1:, 0].tolist() == [98.0] * 8
    assert data.ood.ids[:2].tolist() == ["014", "ood/0"]
    frame(size=None).to_csv(tmp_path / "other.csv")
    with pytest.raises(InputError, match=r"data\.ood_path: no column 'size'"):
        from_table(ood_path=str(tmp_path / "other.csv"))
    frame(size=["big"] * 8).to_csv(tmp_path / "other.csv")
    with pytest.raises(InputError, match=r"other\.csv: column 'size' holds words"):
        from_table(ood_path=str(tmp_path / "other.csv"))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_categories_of_digits_are_text_in_the_other_files_too(from_table, tmp_path, suffix):
    """Alone, 007 would be read as the number 7, beside a gap as 7.0, and TRUE as True: none is a category."""
    settings = {
        "split_column": None,
        "id_column": None,
        "columns": ["ward"],
        "missing": "median",
        "validation_fraction": 0.0,
    }
    ward = ["A12", "007", "TRUE", "A12", "007", "TRUE", "A12", None]

    def parts(test, ood):
        for name, values in (("test", test), ("ood", ood)):
            other = frame(ward=None)[: len(values)].assign(ward=values, label="yes")
            path = tmp_path / f"{name}{suffix}"
            other.to_csv(path, index=False) if suffix == ".csv" else other.to_parquet(path)
        files = {f"{name}_path": str(tmp_path / f"{name}{suffix}") for name in ("test", "ood")}
        return from_table(frame(ward=ward, label=["yes", "no"] * 4), suffix, **settings, **files)

    data = parts(["007", "007"], ["TRUE", "TRUE"])
    # one input each for (missing), 007, A12 and TRUE, in the order of their names
    assert data.test.x.tolist() == [[0, 1, 0, 0]] * 2
    assert data.ood.x.tolist() == [[0, 0, 0, 1]] * 2
    assert data.test.table["ward"].tolist() == ["007", "007"]
    data = parts(["007", None], ["TRUE", "FALSE"])
    assert data.test.x.tolist() == [[0, 1, 0, 0], [1, 0, 0, 0]]
    assert data.ood.x.tolist() == [[0, 0, 0, 1], [0, 0, 0, 0]]


def test_a_split_by_seed_and_a_labelled_share(from_table):
    table = pandas.DataFrame({"x": np.arange(100.0), "label": np.arange(100) % 4})
    data = from_table(table, labelled_fraction=0.25, seed=3)
    assert [len(rows) for rows in data.splits.values()] == [80, 10, 10]
    assert torch.bincount(data.pool.y[data.pool.y >= 0]).tolist() == [5, 5, 5, 5]
    assert from_table(table, seed=4).pool.hash != data.pool.hash


@pytest.mark.filterwarnings("ignore:.*no labelled example:UserWarning")
def test_one_row_and_a_thousand_classes(from_table):
    names = [str(k) for k in range(1000)]
    data = from_table(pandas.DataFrame({"x": [2.0], "label": ["999"]}), class_names=names)
    assert (data.pool.x.tolist(), data.pool.y.tolist(), data.num_classes) == ([[0.0]], [999], 1000)


@pytest.mark.parametrize(
    ("table", "settings", "message"),
    [
        (frame(), {"target": "lable"}, r"data\.target: no column 'lable' in .*did you mean 'label'\?"),
        (frame(), {"columns": ["sise"]}, r"data\.columns: no column 'sise' in .*did you mean 'size'\?"),
        (frame(), {"columns": ["label"]}, "'label' is the target"),
        (frame(), {"id_column": "kode"}, r"data\.id_column: no column 'kode'"),
        (frame(), {"text_column": "text"}, r"data\.text_column: no column 'text'"),
        (frame(), {"split_column": "split"}, r"data\.split_column: no column 'split'"),
        (frame(), {"split_column": "colour"}, r"column 'colour': 'red' at row 0 is no split"),
        (frame(), {"class_names": ["no", "maybe"]}, r"label 'yes' at row 0 is none of the classes"),
        (frame(label=[0.5] * 8), {}, "label 0.5 is no class"),
        (frame(label=["no"] * 8), {}, r"1 class \(no\); at least 2"),
        (frame(label=["no", "yes"] * 3 + [None] * 2), {}, "test row '013' has no label"),
        (frame(size=[1.0, np.inf] * 4), {}, "column 'size' is infinite at row 1"),
        (frame(size=[*"123456", "?", "8"]), {}, r"column 'size' holds '\?' at row 6 among numbers"),
        (frame(size=[None] * 4 + [1.0] * 4), {"missing": "median"}, "'size' has no value in the whole pool"),
        (frame(note=[""] * 8), {"text_column": "note", "missing": "median"}, "'note' holds no word"),
        (frame(), {"max_categories": 1}, "'colour' has 2 categories, more than data.max_categories=1"),
        (frame(part=["test"] * 8), {}, "pool is empty"),
        (frame(code=["1"] * 8), {}, "id '1' names several rows"),
        (frame(size=None, colour=None), {}, "no feature column"),
    ],
)
def test_bad_tables_are_told(from_table, table, settings, message):
    with pytest.raises(InputError, match=message):
        from_table(table, **settings)


def test_dates_are_refused(from_table):
    with pytest.raises(InputError, match="column 'day' holds dates"):
        from_table(frame(day=pandas.date_range("2024-01-01", periods=8)), suffix=".parquet")


def test_damaged_files_and_bad_settings_are_told(tmp_path):
    path = tmp_path / "mine.parquet"
    frame().to_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"mine\.parquet: cannot be read"):
        load(TableConfig(str(path), target="label"), 0)
    (tmp_path / "mine.csv").write_text('a,b\n1,"2\n')
    with pytest.raises(InputError, match=r"mine\.csv: cannot be read"):
        load(TableConfig(str(tmp_path / "mine.csv"), target="a"), 0)
    (tmp_path / "mine.txt").write_text("a,b\n")
    with pytest.raises(InputError, match="neither"):
        load(TableConfig(str(tmp_path / "mine.txt")), 0)
    np.savez(tmp_path / "mine.npz", x=np.zeros(3), y=np.zeros(3))
    with pytest.raises(InputError, match=r"array 'x' is float64 \(3,\); give numbers \[n, D\]"):
        load(TableConfig(str(tmp_path / "mine.npz")), 0)
    np.savez(tmp_path / "mine.npz", x=np.zeros((3, 1)), y=np.zeros(2))
    with pytest.raises(InputError, match=r"array 'y' has shape \(2,\), not \(3,\)"):
        load(TableConfig(str(tmp_path / "mine.npz")), 0)
    with pytest.raises(InputError, match=r"did you mean 'median'\?"):
        TableConfig(missing="mean")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_any_separator_a_byte_order_mark_and_decimal_commas(tmp_path, separator):
    decimal, called = (".", "point") if separator == "," else (",", "comma")
    words = [["size", "label"], *([f"{i}{decimal}5", "ab"[i % 2]] for i in range(10))]
    text = "\n".join(separator.join(row) for row in words)
    (tmp_path / "mine.csv").write_text(text, encoding="utf-8-sig")
    config = TableConfig(str(tmp_path / "mine.csv"), target="label", decimal=called)
    assert load(config, 0).pool.raw[:, 0].tolist() == [i + 0.5 for i in load(config, 0).pool.index.tolist()]
    if decimal == ",":
        with pytest.raises(
            InputError, match=r"'size' holds '0,5', with a decimal comma; set data\.decimal=comma"
        ):
            load(TableConfig(str(tmp_path / "mine.csv"), target="label"), 0)


def test_what_is_no_utf8_and_what_is_no_table_is_told(tmp_path):
    (tmp_path / "mine.csv").write_bytes("grösse,label\n1,a\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"is not UTF-8 text.*save it again as UTF-8"):
        load(TableConfig(str(tmp_path / "mine.csv"), target="label"), 0)
    (tmp_path / "empty.csv").write_text("size,label\n")
    with pytest.raises(InputError, match="a header and no rows"):
        load(TableConfig(str(tmp_path / "empty.csv"), target="label"), 0)
    for name, mend in (("mine.xlsx", "save it as .csv"), ("mine.pkl", "never read; write it by")):
        (tmp_path / name).write_bytes(b"anything")
        with pytest.raises(InputError, match=mend):
            load(TableConfig(str(tmp_path / name), target="label"), 0)
    with pytest.raises(InputError, match="is a folder"):
        load(TableConfig(str(tmp_path), target="label"), 0)


def test_rows_to_test_by_may_be_a_file_of_their_own(from_table, tmp_path):
    known = {"split_column": None, "test_path": str(tmp_path / "other.csv"), "validation_fraction": 0.25}
    other = frame()[4:7].assign(size=[3.0, 9.0, 5.0], code=["a", "b", "c"])
    other.to_csv(tmp_path / "other.csv", index=False)
    labelled = frame(label=["yes", "no"] * 4)
    data = from_table(labelled, **known)
    assert [len(rows) for rows in data.splits.values()] == [6, 2, 3]
    assert (data.test.ids.tolist(), data.test.index.tolist()) == (["a", "b", "c"], [8, 9, 10])
    assert (data.test.y.tolist(), data.drawn) == ([1, 0, 1], ("validation",))
    pool = labelled["size"][data.pool.index.tolist()]
    np.testing.assert_allclose(data.test.x[:, 0], (other["size"] - pool.mean()) / pool.std(ddof=0), atol=1e-6)
    assert data.test.table["colour"].tolist() == ["blue", "green", "red"]
    assert from_table(frame()).drawn == ()
    assert from_table(labelled, split_column=None).drawn == ("validation", "test")
    with pytest.raises(InputError, match="both say which rows are test rows"):
        TableConfig(split_column="part", test_path="other.csv")
    other.drop(columns="label").to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(InputError, match=r"data\.test_path: no column 'label'"):
        from_table(labelled, **known)


@pytest.mark.parametrize("labels", [np.arange(100) * 7, [f"id{i}" for i in range(100)]])
def test_a_quantity_and_an_id_are_no_classes(from_table, labels):
    table = pandas.DataFrame({"x": np.arange(100.0), "label": labels})
    with pytest.raises(InputError, match=r"100 different values in 100 rows.*pandas\.qcut.*data\.target"):
        from_table(table)


@pytest.mark.filterwarnings("ignore:.*no labelled example:UserWarning")
def test_ten_rows_a_class_of_one_and_labels_that_are_true_and_false(from_table):
    table = pandas.DataFrame({"x": np.arange(10.0), "label": [*"aaaaa", *"bbbb", "c"]})
    data = from_table(table)
    assert sum(len(rows) for rows in data.splits.values()) == 10
    assert data.class_names == ("a", "b", "c")
    assert from_table(table.assign(label=[True, False] * 5)).class_names == ("False", "True")
