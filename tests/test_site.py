"""The built site: it builds without a warning, every link leads somewhere, nothing is loaded from the network."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from page_examples import ROOT

from mtbkd import __all__ as PUBLIC
from mtbkd import registry

# Attributes by which a page loads something, other than `a href`, which only leads away.
LOADS = {"src", "srcset", "data", "poster"}
# Addresses in the theme's code: of licences; of diagrams and repository figures, which no page of ours has; of a
# polyfill for browsers without ResizeObserver.
IN_THEME = {
    "api.github.com",
    "api.gitlab.com",
    "gitlab.com",
    "bit.ly",
    "clipboardjs.com",
    "lunrjs.com",
    "tartarus.org",
    "unpkg.com",
    "www.w3.org",
}


class Page(HTMLParser):
    """What a page has: ids, where its links lead, what it loads, its classes."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.classes: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        self.classes |= set(given.get("class", "").split())
        self.loads += [given[name] for name in LOADS & given.keys()]
        self.loads += re.findall(r"url\(['\"]?([^)'\"]+)", given.get("style", ""))
        if "href" in given:
            (self.links if tag == "a" else self.loads).append(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    folder = tmp_path_factory.mktemp("site")
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True))
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def test_every_page_is_there(site, pages):
    sources = {p.relative_to(ROOT / "docs").with_suffix(".html") for p in (ROOT / "docs").rglob("*.md")}
    assert sources <= {path.relative_to(site) for path in pages}
    assert (site / "reference/configuration/weighting.html") in pages


def test_every_link_leads_somewhere(site, pages):
    broken = []
    for path, page in pages.items():
        for link in page.links:
            target = urlsplit(link)
            if target.scheme or path.name == "404.html":
                continue
            file = (path.parent / unquote(target.path)).resolve() if target.path else path
            known = pages[file].ids if file in pages else set()
            if not file.is_file() or (target.fragment and unquote(target.fragment) not in known | {"__skip"}):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert broken == []


def test_no_page_loads_anything_from_elsewhere(site, pages):
    away = [(path.name, load) for path, page in pages.items() for load in page.loads if away_from_here(load)]
    assert away == []
    for path in site.rglob("*.css"):
        found = re.findall(r"(?:url\(|@import\s+)['\"]?([^)'\"\s;]+)", path.read_text())
        assert [load for load in found if away_from_here(load)] == []


def away_from_here(load: str) -> bool:
    return load.startswith("//") or urlsplit(load).scheme in ("http", "https")


def test_scripts_name_no_address_but_those_of_what_no_page_has(site, pages):
    scripts = [
        path for path in site.rglob("*.js") if path.name != "search_index.js" and "lunr" not in path.parts
    ]
    assert scripts  # lunr has other languages than English, which are not loaded
    code = "".join(path.read_text() for path in scripts)
    assert set(re.findall(r"https?://([\w.-]+)", code)) <= IN_THEME
    for page in pages.values():
        assert not page.classes & {"mermaid", "md-source"}, "what the theme would load from the network"


def test_formulas_are_drawn_by_the_browser_itself(site):
    model = (site / "concepts/model.html").read_text()
    assert model.count("<math") > 20
    assert "arithmatex" not in model
    assert "\\sum" not in model


def test_the_reference_has_every_public_name_and_method(site, pages):
    ids = set().union(*(page.ids for page in pages.values()))
    names = pages[site / "reference/mtbkd.html"]
    modules = {"priors", "students", "weighting"}
    assert {f"{name}.html" for name in modules} <= set(names.links)
    for name in set(PUBLIC) - modules - {"features"}:  # of which the configuration tells
        assert any(found.split(".")[-1] == name for found in [*names.ids, *names.links]), name
    for group in ("weighting", "temperature", "prior", "student", "inference", "data", "teacher"):
        for name in registry.names(group):
            assert f"{registry.PACKAGES[group]}.{name}" in ids, name
    chosen = (site / "reference/configuration/weighting.html").read_text()
    assert all(f"weighting={name}" in chosen for name in registry.names("weighting"))


def test_the_index_finds_pages(site):
    entries = json.loads((site / "search/search_index.json").read_text())["docs"]
    found = {entry["location"].split("#")[0] for entry in entries if "responsibilit" in entry["text"].lower()}
    assert "concepts/model.html" in found


@pytest.mark.slow
def test_search_works_in_a_page_opened_as_a_file_and_nothing_else_is_asked_for(site):
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium to search with")
    from playwright.sync_api import sync_playwright

    asked: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto((site / "index.html").as_uri())
        page.click("[data-md-component=search-query]")
        page.type("[data-md-component=search-query]", "responsibilities")
        first = page.wait_for_selector(".md-search-result__item a", timeout=60_000)
        assert first is not None
        hits = page.eval_on_selector_all(".md-search-result__item a", "all => all.map(a => a.href)")
        browser.close()
    assert any("concepts/model.html" in hit for hit in hits)
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:", "about:"))] == []
