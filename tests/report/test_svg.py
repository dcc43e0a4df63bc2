import re

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from mtbkd.report.svg import SERIES, inline_svg, styled


@styled
def figure(label: str = "a line") -> Figure:
    drawn = Figure(figsize=(3, 2))
    axes = drawn.subplots()
    axes.plot([0, 1], [1, 2], color=SERIES[0], marker="o", label=label)
    axes.legend()
    return drawn


def test_ids_are_prefixed_and_every_reference_has_its_target():
    svg = inline_svg(figure(), "a line", "fig7")
    ids = re.findall(r'\bid="([^"]*)"', svg)
    assert ids
    assert len(ids) == len(set(ids))
    assert all(name.startswith("fig7-") for name in ids)
    references = re.findall(r'(?:href="|url\()#([^")]*)', svg)
    assert references
    assert set(references) <= set(ids)


def test_colours_are_the_pages():
    svg = inline_svg(figure(), "a line", "f")
    assert "var(--series-0)" in svg
    assert SERIES[0] not in svg
    assert not re.search(r"(fill|stroke): #(?!ff)", svg)


def test_the_label_and_texts_are_escaped():
    svg = inline_svg(figure('<script>"$x$"'), 'a "<script>"', "f")
    assert "<script" not in svg
    assert 'aria-label="a &quot;&lt;script&gt;&quot;"' in svg
    assert '&lt;script&gt;"$x$"' in svg


def test_no_address_and_no_style_for_the_whole_page():
    svg = inline_svg(figure(), "a line", "f")
    assert "http" not in svg
    assert "<style" not in svg
    assert "<metadata" not in svg


def test_same_figure_same_bytes():
    assert inline_svg(figure(), "a", "f") == inline_svg(figure(), "a", "f")


def test_the_users_settings_neither_matter_nor_change():
    with mpl.rc_context({"axes.grid": False, "font.size": 30, "svg.fonttype": "path"}):
        svg = inline_svg(figure(), "a", "f")
        assert mpl.rcParams["font.size"] == 30
    assert svg == inline_svg(figure(), "a", "f")


def test_an_error_while_drawing_restores_the_settings():
    @styled
    def broken() -> Figure:
        raise ValueError("no data")

    before = mpl.rcParams["axes.grid"]
    with pytest.raises(ValueError, match="no data"):
        broken()
    assert mpl.rcParams["axes.grid"] == before
