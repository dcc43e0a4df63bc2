"""Columns of a table as numbers, by hand and by scikit-learn, and the same again from JSON."""

import json

import numpy as np
import pandas
import pytest
import torch
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mtbkd.data.table_encoding import Scaling, TableEncoding
from mtbkd.data.table_features import Columns, fit_encoding
from mtbkd.errors import InputError

BY_HAND = TableEncoding({"age": Scaling(fill=4.0, mean=3.0, scale=2.0)}, {"city": ["(missing)", "Bern"]})


def test_numbers_categories_and_gaps_by_hand():
    """(5 - 3) / 2 = 1, a gap is (4 - 3) / 2; an unknown city is neither column; no data frame is needed."""
    table = {
        "age": [5, None, float("nan"), "3"],
        "city": ["Bern", None, "Genf", float("nan")],
        "other": [0] * 4,
    }
    assert BY_HAND.encode(table).tolist() == [[1, 0, 1], [0.5, 1, 0], [0.5, 0, 0], [0, 1, 0]]
    assert (BY_HAND.columns, BY_HAND.width) == (["age", "city"], 3)
    frame = pandas.DataFrame(
        {"age": pandas.array([5, None], "Int64"), "city": pandas.Categorical(["Bern", None])}
    )
    assert BY_HAND.encode(frame).tolist() == [[1, 0, 1], [0.5, 1, 0]]


def test_fitted_as_scikit_learn_does_and_the_same_to_the_bit_from_json():
    rng = np.random.default_rng(0)
    table = pandas.DataFrame(
        {
            "a": rng.normal(size=50),
            "b": np.where(rng.random(50) < 0.2, np.nan, rng.integers(0, 9, 50)),
            "flat": np.full(50, 0.1),
            "c": rng.choice(["x", "y", "z"], 50),
            "note": rng.choice(["a dog", "the cat sat", "cat dog bird"], 50),
        }
    )
    pool, numbers = table[:30], ["a", "b", "flat"]
    encoding = fit_encoding(pool, Columns(numbers, ["c"], ["note"]), "median", 3, 10)
    theirs = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        (OneHotEncoder(sparse_output=False), ["c"]),
        (TfidfVectorizer(max_features=3), "note"),
        sparse_threshold=0,
    ).fit(pool)
    found = encoding.encode(table)
    np.testing.assert_allclose(found, theirs.transform(table), atol=1e-6)
    again = TableEncoding.of_record(json.loads(json.dumps(encoding.record())))
    assert again == encoding
    assert torch.equal(again.encode(table), found)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"age": [1]}, "the table: no column 'city'; .*valid: age"),
        ({"age": ["old"], "city": ["Bern"]}, "'age' holds 'old' at row 0, where the student learned numbers"),
        ({"age": [1, np.inf], "city": ["Bern"] * 2}, "'age' is infinite at row 1"),
    ],
)
def test_other_tables_are_told(table, message):
    with pytest.raises(InputError, match=message):
        BY_HAND.encode(table)


def test_gaps_are_refused_where_none_was_learned():
    whole = TableEncoding(BY_HAND.numeric, BY_HAND.categories, gaps=False)
    with pytest.raises(InputError, match="'city' has no value at row 1"):
        whole.encode({"age": [1, 2], "city": ["Bern", None]})
