import base64
import csv
import dataclasses
import io
import itertools
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from mtbkd.errors import InputError
from mtbkd.evaluation.diagnostics import Diagnostics
from mtbkd.report.page import PageConfig, render, write_report
from mtbkd.report.render import render_page
from mtbkd.report.sections import calibration, inference, models, uncertainty, unsure
from mtbkd.report.verdict import answer

VOID = {"meta", "img", "br", "link", "input", "hr"}
SECTIONS = [
    "models",
    "calibration",
    "selective",
    "uncertainty",
    "conformal",
    "unsure",
    "classes",
    "teachers",
    "inference",
    "run",
]
# What a page may hold besides links within itself.
CARRIED = ("#", "data:image/png;base64,", "data:text/csv;base64,")


class Page(HTMLParser):
    """What a page consists of; raises where tags do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def of(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def part(content, *modules):
    """A page of a few sections alone, which is quickly drawn."""
    return render_page(content.title, "", answer(content), [module.section(content) for module in modules])


def test_every_part_is_there(rendered):
    page = Page(rendered)
    assert [attrs["id"] for attrs in page.of("section")] == SECTIONS
    figures = page.of("svg")
    # four comparisons, reliability, risk, two histograms, conformal sets, confusions, three of teachers,
    # two of traces, ranks and effective draws each, energies, loss, time
    assert len(figures) == 22
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in figures)
    assert len(page.of("img")) == 6
    assert all(attrs["alt"] for attrs in page.of("img"))
    text = " ".join(page.text)
    for expected in (
        "94.7%",
        "mtbkd data=digits inference=hmc seed=0",
        "labelled_fraction: 0.2",
        "2.13.0",
        "R-hat",
    ):
        assert expected in text
    assert "Left out" not in text


def test_the_answer_comes_first(rendered):
    html = rendered
    assert html.index("<h1>The student is right on 94.7%") < html.index('<table class="models">')
    assert html.index('<table class="models">') < html.index('id="calibration"')


def test_it_asks_no_network(rendered):
    html = rendered
    assert "http://" not in html
    assert "https://" not in html
    assert "@import" not in html
    assert "<script" not in html
    page = Page(html)
    for _, attrs in page.tags:
        for name in ("src", "href", "xlink:href", "srcset", "action", "data"):
            assert attrs.get(name, "#").startswith(CARRIED)
    policy = next(attrs["content"] for attrs in page.of("meta") if "http-equiv" in attrs)
    assert policy.startswith("default-src 'none'")


def test_the_data_of_every_figure_is_a_csv_file(rendered):
    page = Page(rendered)
    files = {attrs["download"]: attrs["href"] for attrs in page.of("a") if "download" in attrs}
    assert {f"{attrs['id']}.csv" for attrs in page.of("figure")} <= set(files)
    for name, url in files.items():
        text = base64.b64decode(url.removeprefix("data:text/csv;base64,")).decode()
        heading, *rows = csv.reader(io.StringIO(text, newline=""))
        assert rows, name
        assert all(len(row) == len(heading) for row in rows), name


def test_headings_go_down_one_step_at_a_time(rendered):
    levels = [int(tag[1]) for tag, _ in Page(rendered).tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))


def test_ids_are_unique_and_links_lead_somewhere(rendered):
    page = Page(rendered)
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = [attrs["href"][1:] for _, attrs in page.tags if attrs.get("href", "").startswith("#")]
    assert set(links) <= set(ids)
    clips = [
        re.match(r"url\(#(.*)\)", attrs["clip-path"]).group(1)
        for _, attrs in page.tags
        if "clip-path" in attrs
    ]
    assert set(clips) <= set(ids)


def test_hostile_names_are_only_text(content):
    evil = '<script>alert("x")</script><img src=x onerror=alert(1)>'
    metrics = dict(content.metrics) | {"teachers": {evil: {"accuracy": 0.5, "nll": 1.0}}}
    opinion = dataclasses.replace(content.least_sure[0].student, name=evil)
    hostile = dataclasses.replace(
        content,
        title=evil,
        metrics=metrics | {"versions": {evil: evil}},
        class_names=(evil,) * 10,
        command=evil,
        config=evil,
        facts={evil: evil},
        voices=dataclasses.replace(content.voices, names=(evil, "b", "c")),
        ood=dataclasses.replace(content.ood, name=evil),
        diagnostics=Diagnostics("doubtful", [evil], {evil: 1.0}),
        traces=dataclasses.replace(content.traces, labels=(evil,) * 6),
        least_sure=(dataclasses.replace(content.least_sure[0], id=evil, teachers=(opinion,)),),
        warnings=(evil,),
        created=evil,
    )
    html = render(hostile)
    page = Page(html)
    assert not page.of("script")
    assert all("onerror" not in attrs for _, attrs in page.tags)
    assert len(page.of("img")) == 1
    assert evil in page.text


def test_parts_not_there_are_left_out_with_a_reason(bare):
    page = Page(render(bare))
    text = " ".join(page.text)
    assert page.of("svg") == []
    for reason in (
        "no labelled test inputs",
        "the run made no test predictions",
        "has no inputs from elsewhere",
        "need labelled validation inputs",
        "labelled test inputs to be right or wrong at",
        "labelled test inputs to count by class",
        "fitted without teachers",
        "the run recorded none",
        "report.least_sure",
    ):
        assert reason in text


def test_a_point_estimate_has_no_epistemic_uncertainty(content):
    point = dataclasses.replace(
        content,
        test=dataclasses.replace(content.test, epistemic=None),
        ood=dataclasses.replace(
            content.ood, epistemic=None, scores={"total": content.ood.scores["total"], "epistemic": None}
        ),
    )
    text = " ".join(Page(part(point, uncertainty, models)).text)
    assert "one point estimate has no draws" in text
    assert "AUROC 0.943 by total uncertainty" in text


@pytest.mark.parametrize(
    ("kind", "called", "interval"),
    [
        ("point", "student", "its 90% credible interval"),
        ("ensemble", "ensemble of students", "the middle 90% of its members"),
        ("laplace", "Bayesian student", "its 90% credible interval"),
        (None, "Bayesian student", "its 90% credible interval"),
    ],
)
def test_a_mode_is_not_called_bayesian(content, kind, called, interval):
    metrics = dict(content.metrics) | {"diagnostics": {"kind": kind}}
    html = part(dataclasses.replace(content, metrics=metrics), calibration, models, unsure)
    assert f"Reliability diagram of the {called} on 360 test inputs" in html
    assert f'<th scope="row">{called[0].upper() + called[1:]}</th>' in html
    assert interval in html
    assert ("Bayesian" in html) == (called == "Bayesian student")


def test_energies_are_shown_where_there_are_any(content):
    without = dataclasses.replace(content.traces, energy=None)
    label = "Energies and their changes"
    assert label in part(content, inference)
    assert label not in part(dataclasses.replace(content, traces=without), inference)


def test_unlabelled_test_inputs(content):
    unknown = dataclasses.replace(content.test, y=np.full(360, -1))
    page = Page(part(dataclasses.replace(content, test=unknown), calibration))
    assert "no labelled test inputs" in " ".join(page.text)


def test_least_sure_inputs_show_opinions(content):
    item = content.least_sure[0]
    page = Page(part(dataclasses.replace(content, least_sure=(item,)), unsure))
    text = re.sub(r"\s+", " ", " ".join(page.text))
    best = content.class_names[int(item.student.probs.argmax())]
    assert f"student {best}" in text
    for opinion in item.teachers:
        k = int(opinion.probs.argmax())
        assert re.search(rf"{opinion.name} {content.class_names[k]} (✓ )?{opinion.probs[k]:.2f}", text)
    assert f"truth: {content.class_names[item.truth]}" in text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.arange(4.0), "x3"),
        ("MKVLA" * 20, "length 100"),
        (np.ones((4, 4, 3)), "img"),
    ],
)
def test_every_kind_of_input_is_shown(content, value, expected):
    items = tuple(dataclasses.replace(item, value=value) for item in content.least_sure)
    page = Page(part(dataclasses.replace(content, least_sure=items), unsure))
    assert any(expected in text for text in page.text) or page.of(expected)


def test_writing_replaces_whole_files(content, rendered, tmp_path):
    target = tmp_path / "report.html"
    target.write_text("old")
    assert write_report(target, content) == target
    assert target.read_text(encoding="utf-8") == rendered
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert target.stat().st_mode & 0o777 == 0o644


def test_a_failure_leaves_the_old_file_alone(content, tmp_path):
    target = tmp_path / "report.html"
    target.write_text("old")
    with pytest.raises(AttributeError):
        write_report(target, dataclasses.replace(content, metrics=None))
    assert target.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_config_is_checked():
    assert PageConfig().least_sure == 12
    with pytest.raises(InputError, match="least_sure"):
        PageConfig(least_sure=-1)
    with pytest.raises(InputError, match="held_out"):
        PageConfig(held_out=0)
