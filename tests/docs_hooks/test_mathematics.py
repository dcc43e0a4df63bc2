"""Formulas as MathML: elements by hand, what is not known is refused, what is no formula is left."""

from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from mkdocs.exceptions import PluginError

from docs_hooks.mathematics import on_page_content, to_mathml

PAGE = SimpleNamespace(file=SimpleNamespace(src_uri="concepts/model.md"))
NAMESPACE = "{http://www.w3.org/1998/Math/MathML}"


def leaves(mathml):
    return [
        (node.tag.removeprefix(NAMESPACE), node.text)
        for node in ElementTree.fromstring(mathml).iter()
        if node.text
    ]


def test_a_formula_by_hand():
    assert leaves(to_mathml("w_m = 1/2", display=False)) == [
        ("mi", "w"), ("mi", "m"), ("mo", "="), ("mn", "1"), ("mo", "/"), ("mn", "2"),
    ]  # fmt: skip
    assert ElementTree.fromstring(to_mathml("x", display=False)).get("display") == "inline"


def test_a_formula_on_its_own_line_is_a_block():
    shown = ElementTree.fromstring(to_mathml("x", display=True))
    assert shown.get("class") == "formula"
    assert shown[0].get("display") == "block"


def test_marked_formulas_of_a_page_are_translated_and_the_rest_is_left():
    page = '<p>a <span class="arithmatex">\\(p &lt; q\\)</span> $5 <code>\\(x\\)</code></p>'
    found = on_page_content(page, PAGE)
    assert found.startswith("<p>a <math")
    assert found.endswith("</math> $5 <code>\\(x\\)</code></p>")
    assert ("mo", "<") in leaves(found[5 : found.index(" $5")])
    assert on_page_content("<p>none</p>", PAGE) == "<p>none</p>"


def test_an_unknown_command_is_told_with_its_page():
    with pytest.raises(PluginError, match=r"concepts/model\.md: .*\\wrongly"):
        on_page_content('<span class="arithmatex">\\(\\wrongly x\\)</span>', PAGE)


def test_an_environment_that_is_not_known_is_told():
    with pytest.raises(ValueError, match="split or array"):
        to_mathml("\\begin{aligned} a & = b \\end{aligned}", display=True)
    table = to_mathml("\\begin{split} a & = b \\end{split}", display=True)
    assert leaves(table) == [("mi", "a"), ("mo", "="), ("mi", "b")]
