import base64
import csv
import io

import numpy as np

from mtbkd.report.csv_data import MOST_ROWS, csv_text, csv_url, stacked


def read(text):
    return list(csv.reader(io.StringIO(text, newline="")))


def test_numbers_names_and_what_is_not_known():
    columns = {"name": ['a,"b"', "c\nd"], "count": [1, 20], "p": [1 / 3, np.nan], "low": [None, 0.5]}
    assert read(csv_text(columns)) == [
        ["name", "count", "p", "low"],
        ['a,"b"', "1", "0.333333", ""],
        ["c\nd", "20", "", "0.5"],
    ]


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
