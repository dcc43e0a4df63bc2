import base64
import csv
import io

import numpy as np
import pandas as pd

from mtbkd.report.csv_data import MOST_ROWS, csv_text, csv_url, stacked, without_formulas


def read(text):
    return list(csv.reader(io.StringIO(text, newline="")))


def test_numbers_names_and_what_is_not_known():
    columns = {"name": ['a,"b"', "c\nd"], "count": [1, 20], "p": [1 / 3, np.nan], "low": [None, 0.5]}
    assert read(csv_text(columns)) == [
        ["name", "count", "p", "low"],
        ['a,"b"', "1", "0.333333", ""],
        ["c\nd", "20", "", "0.5"],
    ]


def test_no_text_is_a_formula_and_numbers_stay_numbers():
    columns = {
        "=name": ["=1+1", "+x", "-x", "@x", "\tx", "x=1", "-1", ""],
        "low": [-0.5, -np.inf, -1e-9, 0.0, 1.0, np.nan, None, -3],
    }
    assert read(csv_text(columns)) == [
        ["'=name", "low"],
        ["'=1+1", "-0.5"],
        ["'+x", "-inf"],
        ["'-x", "-1e-09"],
        ["'@x", "0"],
        ["'\tx", "1"],
        ["x=1", ""],
        ["-1", ""],
        ["", "-3"],
    ]


def test_a_file_without_formulas():
    text = 'a,"=b, c"\n-0.25,"=x ""y"", z"\n-inf,"l\nm"\n-,+1e-3\n'
    assert without_formulas(text) == 'a,"\'=b, c"\n-0.25,"\'=x ""y"", z"\n-inf,"l\nm"\n\'-,+1e-3\n'
    assert len(without_formulas("a\n=" + 200_000 * "x" + "\n")) == 200_005
    harmless = pd.DataFrame({"n": [1, -2], "x": [-0.5, np.nan], "t": ['a "b"', "c,\nd"], "u": ["", None]})
    assert without_formulas(harmless.to_csv(index=False)) == harmless.to_csv(index=False)


def test_many_rows_are_evenly_spread_ones():
    rows = read(csv_text({"i": np.arange(3 * MOST_ROWS)}))[1:]
    assert [int(row[0]) for row in rows] == list(range(0, 3 * MOST_ROWS, 3))


def test_the_address_holds_the_text():
    columns = {"Größe": [0.5]}
    kind, _, data = csv_url(columns).partition(",")
    assert kind == "data:text/csv;base64"
    assert base64.b64decode(data).decode() == csv_text(columns) == "Größe\r\n0.5\r\n"


def test_parts_are_stacked_with_their_names():
    parts = {"a": {"x": [1, 2], "y": [3.0, 4.0]}, "b": {"x": [5], "y": [6.0]}}
    assert {k: v.tolist() for k, v in stacked(parts, "model").items()} == {
        "model": ["a", "a", "b"],
        "x": [1, 2, 5],
        "y": [3, 4, 6],
    }
    assert stacked({}, "model") == {}
