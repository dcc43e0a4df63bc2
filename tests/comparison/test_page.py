"""The page's HTML: what it holds, that it is whole, and that it asks for nothing."""

import base64
import csv
import io
import os
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from stub_runs import write_run

from mtbkd.comparison.comparison import comparison_of
from mtbkd.comparison.page import page
from mtbkd.comparison.runs import read_runs

VOID = {"meta", "input", "br", "img", "link"}
ERROR = "ValueError: <script>alert(1)</script> & more"


class Elements(HTMLParser):
    """All opening tags, and whether each is closed in its order."""

    def __init__(self, html):
        super().__init__()
        self.found, self.open, self.text = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "a sweep"
    for weighting, size in (("uniform", 40), ("<b>$\\x$", 400), ("best", 90)):
        for seed in range(3):
            nll = 0.3 + 0.1 * seed - (0.05 if weighting == "best" else 0) + 0.001 * seed * size / 40
            student = {"stored_bytes": size, "latency_ms": size / 100}
            name = weighting.strip("<b>$\\")
            own = write_run(
                folder / f"{name}, #{seed}", seed, weighting, nll=nll, validation=nll, student=student
            )
            if seed:
                (own / "report.html").write_text("a report")
    write_run(folder / "x", 7, "uniform", state="failed", error=ERROR, command="mtbkd seed=7")
    write_run(folder / "y", 8, "uniform", state="failed", error=ERROR, command="mtbkd seed=8")
    return folder


@pytest.fixture(scope="module")
def html(runs):
    return page(comparison_of(read_runs([runs]), ["weighting=uniform"]), "A comparison", runs.parent / "out")


def test_it_is_whole_and_asks_for_nothing(html):
    elements = Elements(html)
    assert elements.open == []
    tags = {tag for tag, _ in elements.found}
    assert not tags & {"script", "link", "iframe", "img"}
    addresses = [told.get("href") or told.get("src") or "" for _, told in elements.found]
    assert not [address for address in addresses if re.match(r"(https?:)?//", address)]
    assert "default-src 'none'" in html
    ids = [told["id"] for _, told in elements.found if "id" in told]
    assert len(ids) == len(set(ids))
    here = [address[1:] for address in addresses if address.startswith("#")]
    assert set(here) <= set(ids)


def test_its_sections(html):
    titles = re.findall(r"<h2>(.*?)</h2>", html)
    assert titles == [
        "Means over seeds",
        "Differences to the baseline",
        "Quality against cost",
        "Runs without scores",
        "Every finished run",
        "For a paper",
    ]


def test_reports_are_linked_from_where_the_page_lies(html, runs):
    links = [
        told["href"]
        for tag, told in Elements(html).found
        if tag == "a" and "report.html" in told.get("href", "")
    ]
    assert len(links) == 6
    for link in links:
        assert os.path.exists(os.path.normpath(runs.parent / "out" / unquote(link)))


def test_errors_are_told_once_with_the_commands(html):
    assert html.count("alert(1)") == 1
    assert "failed: 2 runs" in html
    assert "mtbkd seed=7\nmtbkd seed=8\n" in html


def test_every_figure_has_words_and_its_data(html):
    figures = re.findall(r'<figure id="([^"]+)"><svg(.*?)>.*?</figure>', html, re.S)
    assert {name for name, _ in figures} == {
        *(f"mean-{score}" for score in ("accuracy", "nll", "ece")),
        *(f"difference-{score}" for score in ("accuracy", "nll", "ece")),
        *(
            f"front-{cost}-{score}"
            for cost in ("latency-ms", "stored-bytes")
            for score in ("accuracy", "nll", "ece")
        ),
    }
    assert all("aria-label" in opening for _, opening in figures)
    files = {
        told["download"]: told["href"].partition("base64,")[2]
        for tag, told in Elements(html).found
        if tag == "a" and "download" in told
    }
    assert set(files) == {f"{name}.csv" for name, _ in figures}
    rows = list(csv.DictReader(io.StringIO(base64.b64decode(files["front-stored-bytes-nll.csv"]).decode())))
    assert {row["configuration"]: row["on_front"] for row in rows} == {
        "uniform": "1",
        "<b>$\\x$": "0",
        "best": "1",
    }
    gaps = list(csv.DictReader(io.StringIO(base64.b64decode(files["difference-nll.csv"]).decode())))
    by_name = {row["configuration"]: row for row in gaps}
    # -.05, and .00125 a seed more: -.05, -.04875, -.0475
    assert float(by_name["best"]["difference"]) == pytest.approx(-0.04875)
    assert by_name["best"]["pairs"] == "3"


def test_the_table_marks_what_is_sure(html):
    table = re.search(r'<table class="models arms">.*?</table>', html, re.S)[0]
    assert '<span class="gap good"><b>-0.049 ± 0.003</b></span>' in table
    assert "best by validation" in table
    assert table.count("baseline") == 1


def test_latex_stands_there_to_be_copied(html):
    assert r"\toprule" in html
    assert "<details><summary>LaTeX, with booktabs</summary>" in html


def test_without_finished_runs_errors_are_told(tmp_path):
    write_run(tmp_path / "a", state="failed", error="RuntimeError: no")
    found = page(comparison_of(read_runs([tmp_path])), "A comparison", tmp_path)
    assert re.findall(r"<h2>(.*?)</h2>", found) == ["Runs without scores"]


def test_one_run_has_a_page(tmp_path):
    write_run(tmp_path / "a")
    found = page(comparison_of(read_runs([tmp_path])), "A comparison", tmp_path)
    assert "Differences to the baseline" not in found
    assert "nan" not in re.sub(r"<style>.*?</style>", "", found, flags=re.S).lower()
