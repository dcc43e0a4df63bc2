"""What the README shows works as it is written, and its tables are those of the docs."""

import re

import pytest
from page_examples import ROOT, blocks, commands_of, python_of

README = ROOT / "README.md"
EXAMPLES = python_of(README)


def test_there_are_examples():
    assert len(EXAMPLES) >= 2
    assert len(commands_of(README)) >= 10


@pytest.mark.slow
@pytest.mark.parametrize("code", EXAMPLES, ids=range(len(EXAMPLES)))
def test_example_runs(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(code, str(README), "exec"), names)
    results = [value for value in names.values() if hasattr(value, "probs") or hasattr(value, "posterior_")]
    assert results, "an example makes a prediction or a fitted classifier"


def test_its_figures_are_those_of_the_pages_that_carry_them():
    pages = ("results.md", "benchmarks.md", "teachers.md", "simulation_based_calibration.md")
    told = "".join((ROOT / "docs" / name).read_text() for name in pages)
    for name in ("benchmarks.md", "agreement.md", "listening/weightings.md"):  # which pages include
        told += (ROOT / "experiments" / "results" / name).read_text()
    known = [figures(line) for line in told.splitlines()]
    rows = [line for line in README.read_text().splitlines() if line.startswith("| ") and figures(line)]
    assert len(rows) > 10
    assert [row for row in rows if not any(in_order(figures(row), one) for one in known)] == []


def in_order(part: tuple[float, ...], whole: tuple[float, ...]) -> bool:
    """Whether all of `part` is in `whole`, in its order: a shorter table has some of the columns."""
    rest = iter(whole)
    return all(number in rest for number in part)


def figures(row: str) -> tuple[float, ...]:
    """The numbers with a decimal point in a table's row."""
    return tuple(float(number) for number in re.findall(r"(?<![\w.])\d*\.\d+", row))


def test_its_links_into_the_repository_are_there():
    text = README.read_text()
    for block in blocks(README):
        text = text.replace(block.code, "")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if not link.startswith("http")]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
