"""The LaTeX table by its structure, and by pdflatex where there is one."""

import math
import re
import shutil
import subprocess

import pytest
from stub_runs import write_run

from mtbkd.comparison.comparison import comparison_of
from mtbkd.comparison.latex import escaped, latex_table, number
from mtbkd.comparison.runs import read_runs
from mtbkd.t_interval import Interval


@pytest.fixture
def text(tmp_path):
    for weighting, nlls in {"uniform": [0.5, 0.7], "a_b & 100%": [0.4, 0.6], "best": [0.5, None]}.items():
        for seed, nll in enumerate(nlls):
            write_run(tmp_path / f"{weighting}{seed}", seed, weighting, nll=nll)
    runs = read_runs([tmp_path])
    return latex_table(comparison_of(runs, ["weighting=uniform"], ["nll", "accuracy"]))


def test_rows_and_columns(text):
    columns = re.search(r"\\begin\{tabular\}\{([lr]+)\}", text)[1]
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 4
    # An ampersand of a name is no end of a cell.
    assert {len(re.split(r"(?<!\\)&", row)) for row in rows} == {len(columns)} == {6}
    cells = {row.split(" & ")[0]: row.removesuffix(r" \\") for row in rows}
    # .6 +- 12.706 * .1; the difference is -.1 on both seeds, which proves nothing.
    assert cells["uniform"].split(" & ")[1:4] == ["2", r"$0.600 \pm 1.271$", "--"]
    assert r"$0.500 \pm 1.271$ & $-0.100 \pm 0.000$" in text
    assert r"a\_b \& 100\%" in text
    assert cells["best"].split(" & ")[2:4] == [r"$\infty$", "--"]
    assert r"NLL $\downarrow$ & $\Delta$ & Accuracy $\uparrow$" in text
    assert "difference to weighting=uniform" in text


def test_what_opens_is_closed(text):
    assert re.findall(r"\\begin\{(\w+)\}", text) == ["table", "tabular"]
    assert re.findall(r"\\end\{(\w+)\}", text) == ["tabular", "table"]
    plain = re.sub(r"\\[{}$&%]", "", text)
    assert plain.count("{") == plain.count("}")
    assert plain.count("$") % 2 == 0
    assert text.isascii()


def test_names_are_escaped():
    assert escaped(r"50% of_$x {a} #1 ~ ^ \y & <z>") == (
        r"50\% of\_\$x \{a\} \#1 \textasciitilde{} \textasciicircum{} \textbackslash{}y \& "
        r"\textless{}z\textgreater{}"
    )
    assert escaped("a\nb\x00c – d") == "a bc -- d"


@pytest.fixture
def bracketed(tmp_path):
    """A table whose rows begin with what LaTeX would take for arguments of the line before."""
    for name, hidden in {"a": [8], "b": [16, 8], "c": "*"}.items():
        write_run(tmp_path / "brackets" / name, settings={"student": {"hidden": hidden}})
    return latex_table(comparison_of(read_runs([tmp_path / "brackets"]), [], ["nll"]))


def test_no_row_begins_with_an_argument(bracketed):
    body = bracketed[bracketed.index(r"\midrule") : bracketed.index(r"\bottomrule")].splitlines()[1:]
    assert sorted(row.split(" & ")[0] for row in body) == ["{*}", "{[}16,8{]}", "{[}8{]}"]


def test_numbers():
    assert number(Interval(-0.0001, 0.0002, 3), 3, signed=True) == r"$+0.000 \pm 0.000$"
    assert number(Interval(0.5, 0.1, 3), 3) == r"$0.500 \pm 0.100$"  # a mean is never bold
    assert number(Interval(0.5, 0.1, 3), 2, signed=True) == r"$\mathbf{+0.50 \pm 0.10}$"
    assert number(Interval(0.5, math.nan, 1), 3, signed=True) == "$+0.500$"
    assert number(Interval(math.inf, math.nan, 2), 3) == r"$\infty$"
    assert number(None, 3) == "--"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
def test_it_compiles(text, bracketed, tmp_path):
    document = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{text}{bracketed}\end{{document}}"
    (tmp_path / "t.tex").write_text(document)
    words = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "t.tex"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
