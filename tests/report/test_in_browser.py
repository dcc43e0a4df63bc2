"""The page as a reader meets it: in Debian's chromium, driven by playwright."""

import csv

import pytest
from in_chromium import CUT_OFF, MARKS, PHONE, WIDE, browser, windows

from mtbkd.report.page import write_report

__all__ = ["browser"]  # a fixture
pytestmark = MARKS
LIGHT, DARK = "rgb(245, 246, 248)", "rgb(18, 22, 26)"

# Contrast of each text with what it stands on, by WCAG 2's formula; 3 is enough for large text.
CONTRAST = """
() => {
  const linear = c => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const numbers = text => text.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const [r, g, b, a = 1] = numbers(getComputedStyle(at).backgroundColor);
      if (a === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *:not(svg *):not(input):not(legend)")) {
    if (![...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())) continue;
    const style = getComputedStyle(element);
    const a = luminance(numbers(style.color)), b = luminance(behind(element));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.6 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) found.push(`${element.className || element.tagName} ${ratio.toFixed(2)}`);
  }
  return found;
}
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory, rendered_content):
    return write_report(tmp_path_factory.mktemp("page") / "report.html", rendered_content).as_uri()


@pytest.fixture
def opened(browser, address):
    with windows(browser, address) as open_page:
        yield open_page


def background(page):
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_every_figure_is_there_and_not_empty(opened):
    page = opened()
    figures = page.locator("figure svg")
    assert figures.count() == 22
    for i in range(figures.count()):
        figure = figures.nth(i)
        assert figure.get_attribute("aria-label")
        box = figure.bounding_box()
        assert box["width"] > 250
        assert box["height"] > 60
        assert figure.locator("path, use, rect").count() > 5
        assert figure.locator("text").count() > 2
    assert page.evaluate("[...document.images].every(i => i.naturalWidth > 0 && i.alt)")


def test_links_lead_to_their_sections(opened):
    page = opened()
    links = page.locator("nav a")
    assert links.count() == 10
    for i in range(links.count()):
        links.nth(i).click()
        target = links.nth(i).get_attribute("href")
        assert page.url.endswith(target)
        page.wait_for_function(
            "id => { const at = document.querySelector(id).getBoundingClientRect();"
            " return at.top < innerHeight && at.bottom > 0 }",
            arg=target,
        )


def test_every_csv_file_downloads_and_parses(opened, tmp_path):
    page = opened()
    links = page.locator("a[download]")
    assert links.count() > 20
    for i in range(links.count()):
        if i % 10 == 0:  # after ten downloads in a row Chromium asks, where there is nobody
            links = opened().locator("a[download]")
        with links.page.expect_download() as waiting:
            links.nth(i).click()
        name = waiting.value.suggested_filename
        assert name == links.nth(i).get_attribute("download")
        waiting.value.save_as(tmp_path / name)
        with (tmp_path / name).open(newline="", encoding="utf-8") as file:
            heading, *rows = csv.reader(file)
        assert rows, name
        assert {len(row) for row in rows} == {len(heading)}, name
    assert len(list(tmp_path.iterdir())) == links.count()
    assert (tmp_path / "uncertainty-total.csv").read_text().count("\n") == 1 + 360 + 300


@pytest.mark.parametrize("system", ["light", "dark"])
def test_the_theme_is_the_systems_until_another_is_chosen(opened, system):
    page = opened(scheme=system)
    by_system = {"light": LIGHT, "dark": DARK}[system]
    line = page.locator("#reliability svg path[style*='stroke: var(--series-0)']").first
    colours = {}
    assert background(page) == by_system
    for name, expected in (("Dark", DARK), ("Light", LIGHT), ("System", by_system)):
        page.get_by_text(name, exact=True).click()
        assert background(page) == expected
        colours[name] = line.evaluate("e => getComputedStyle(e).stroke")
    assert colours["Dark"] == "rgb(92, 176, 234)"
    assert colours["Light"] == "rgb(0, 114, 178)"


def test_the_theme_can_be_chosen_from_the_keyboard(opened):
    page = opened()
    page.locator("#theme-system").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.locator("#theme-dark").is_checked()
    assert background(page) == DARK


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_text_can_be_read_and_nothing_is_cut_off(opened, viewport, scheme):
    page = opened(viewport, scheme)
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert page.evaluate(CUT_OFF) == []


def test_it_prints_on_white_with_all_that_it_holds(opened):
    page = opened(scheme="dark")
    page.get_by_text("Dark", exact=True).click()
    page.emulate_media(media="print")
    assert background(page) == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(28, 33, 39)"
    assert not page.locator("nav").is_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('pre.long')).maxHeight") == "none"
    printed = page.pdf(format="A4")
    assert printed.startswith(b"%PDF")
    assert len(printed) > 50_000
    assert 3 <= printed.count(b"/Type /Page\n") <= 20
