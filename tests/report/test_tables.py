import io

import pytest
from rich.console import Console

from mtbkd.report.tables import COLUMNS, html_table, human_bytes, model_rows, shown, terminal_table

ORDER = [
    "ensemble of five",
    "random forest",
    "support vectors",
    "Teacher ensemble",
    "Student, labels only",
    "Student, plain KD",
    "Bayesian student",
]


def printed(metrics, width=120):
    out = io.StringIO()
    Console(file=out, width=width).print(terminal_table(metrics, title="digits"))
    return out.getvalue()


def test_models_come_in_order(content):
    assert [row.name for row in model_rows(content.metrics)] == ORDER
    lines = printed(content.metrics).splitlines()
    starts = [next(i for i, line in enumerate(lines) if line.strip().startswith(name)) for name in ORDER]
    assert starts == sorted(starts)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("point", "Student"),
        ("ensemble", "Ensemble of students"),
        ("variational", "Bayesian student"),
        (None, "Bayesian student"),
    ],
)
def test_the_student_is_called_what_it_is(kind, name):
    metrics = {"student": {"accuracy": 0.5}, "diagnostics": {"kind": kind}}
    assert [row.name for row in model_rows(metrics)] == [name]
    assert name in printed(metrics)


def test_absent_models_are_left_out():
    assert [row.role for row in model_rows({"student": {"accuracy": 0.5}, "kd_student": None})] == ["student"]


def test_the_student_row_in_the_terminal(content):
    line = next(line for line in printed(content.metrics).splitlines() if "Bayesian student" in line)
    assert line.split()[2:] == ["94.7%", "0.188", "0.083", "0.028", "2,410", "482.0", "kB", "0.42"]


def test_html_has_the_same_cells(content):
    html = html_table(content.metrics)
    for row in model_rows(content.metrics):
        for heading, value in zip(COLUMNS.values(), row.shown(), strict=True):
            assert f'<td class="num" data-label="{heading}">{value}<' in html
    assert html.count("<tr") == 8
    assert "at 0.3% of inputs by random forest" in html


def test_intervals_stand_below_their_values():
    metrics = {
        "student": {"accuracy": 0.9778, "accuracy_low": 0.9443, "accuracy_high": 0.9913, "nll_low": 0.1}
    }
    html = html_table(metrics)
    assert 'data-label="Accuracy">97.8%<small>94.4–99.1%</small></td>' in html
    assert html.count("<small>") == 1


def test_a_name_is_never_markup():
    metrics = {"teachers": {"[red]<b>x</b>": {"accuracy": 0.5}}, "student": {"accuracy": 0.5}}
    assert "[red]<b>x</b>" in printed(metrics)
    assert "[red]&lt;b&gt;x&lt;/b&gt;" in html_table(metrics)
    assert "<b>" not in html_table(metrics)


@pytest.mark.parametrize(
    ("column", "metrics", "text"),
    [
        ("accuracy", {"accuracy": 0.9465}, "94.7%"),
        ("nll", {"nll": 0.1236}, "0.124"),
        ("nll", {"nll": None}, "–"),
        ("nll", {"nll": None, "impossible": 0.01}, "∞"),
        ("nll", {"nll": None, "impossible": 0.0}, "–"),
        ("ece", {}, "–"),
        ("parameters", {"parameters": 1234567}, "1,234,567"),
        ("stored_bytes", {"stored_bytes": 9640}, "9.6 kB"),
        ("latency_ms", {"latency_ms": 0.418}, "0.42"),
        ("latency_ms", {"latency_ms": 1234.5}, "1,234"),
    ],
)
def test_values_for_people(column, metrics, text):
    assert shown(column, metrics) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_960, "1.0 MB"),
        (2.5e9, "2.5 GB"),
        (3e12, "3.0 TB"),
    ],
)
def test_bytes_for_people(count, text):
    assert human_bytes(count) == text
