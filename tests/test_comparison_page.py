"""The page of a comparison as a reader meets it: in chromium, from the file that `mtbkd-compare` writes."""

import csv

import pytest
from in_chromium import CUT_OFF, MARKS, PHONE, WIDE, browser, windows
from stub_runs import write_run

from mtbkd.comparison.command import main

__all__ = ["browser"]  # a fixture
pytestmark = MARKS
EMPTY = """
() => [...document.querySelectorAll("figure svg")].filter(svg => svg.querySelectorAll("path, use").length < 5
  || svg.getBoundingClientRect().height < 60).map(svg => svg.getAttribute("aria-label"))
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A comparison of three configurations and a failed run."""
    folder = tmp_path_factory.mktemp("sweep")
    for place, weighting in enumerate(
        ("uniform", "entropy", "a_rule_with_a_rather_long_name_that_nobody_shortened")
    ):
        for seed in range(3):
            nll = 0.3 + 0.1 * seed - 0.05 * place + 0.002 * place * seed
            student = {"stored_bytes": 40 * (place + 1), "latency_ms": 0.3 * (place + 1)}
            own = write_run(
                folder / f"weighting={weighting},seed={seed}", seed, weighting, nll, nll, student=student
            )
            (own / "report.html").write_text(f"<title>the report of {weighting}, {seed}</title>")
    write_run(folder / "x", 7, "uniform", state="failed", error="ValueError: " + "long " * 60)
    with pytest.raises(SystemExit):
        main([str(folder), "--baseline", "weighting=uniform"])
    return (folder / "comparison.html").as_uri()


@pytest.fixture
def opened(browser, address):
    with windows(browser, address, also=("file://",)) as open_page:
        yield open_page


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_or_empty(opened, viewport, scheme):
    page = opened(viewport, scheme)
    assert page.evaluate(CUT_OFF) == []
    assert page.locator("figure svg").count() == 12  # three scores: means, differences, and against two costs
    assert page.evaluate(EMPTY) == []


def test_links_lead_to_the_reports_and_sections(opened):
    page = opened()
    for link in page.locator("nav a").all():
        link.click()
        assert page.locator(link.get_attribute("href")).is_visible()
    page.locator("#runs a").first.click()
    assert page.title().startswith("the report of ")


def test_the_data_of_a_figure_is_a_file(opened):
    page = opened()
    with page.expect_download() as kept:
        page.locator("#difference-nll a.csv").click()
    assert kept.value.suggested_filename == "difference-nll.csv"
    with open(kept.value.path(), newline="") as file:
        rows = {row["configuration"]: row for row in csv.DictReader(file)}
    # -.05, -.048 and -.046
    assert float(rows["entropy"]["difference"]) == pytest.approx(-0.048)
    assert rows["entropy"]["pairs"] == "3"


def test_the_latex_unfolds(opened):
    page = opened()
    code = page.locator("#paper code")
    assert not code.is_visible()
    page.locator("#paper summary").click()
    assert code.is_visible()
    assert "\\toprule" in code.inner_text()


def test_it_prints(opened):
    page = opened()
    page.emulate_media(media="print")
    assert page.pdf()[:5] == b"%PDF-"
