"""How-to pages that nobody listed, and notebooks' first words, by hand."""

import json
from types import SimpleNamespace

from docs_hooks.how_to_pages import first_words, notebooks_page, on_config, unlisted


def test_what_is_not_listed_is_added_by_name(tmp_path):
    (tmp_path / "howto").mkdir()
    for name in ("b.md", "a.md", "c.md", "picture.svg"):
        (tmp_path / "howto" / name).write_text("")
    assert unlisted(["howto/b.md"], tmp_path / "howto") == ["howto/a.md", "howto/c.md"]
    config = SimpleNamespace(docs_dir=str(tmp_path), nav=[{"Start": []}, {"How to": [{"B": "howto/b.md"}]}])
    assert on_config(config).nav[1]["How to"] == [
        {"B": "howto/b.md"}, "howto/a.md", "howto/c.md", "howto/notebooks.md",
    ]  # fmt: skip


def test_a_notebook_is_told_of_by_its_first_cell(tmp_path):
    path = tmp_path / "01_one.ipynb"
    source = ["# One\n", "\n", "What\n", "is it?\n", "\n", "More."]
    path.write_text(json.dumps({"cells": [{"cell_type": "markdown", "source": source}]}))
    assert first_words(path) == ("One", "What is it?")
    assert "## One\n\nWhat is it?\n\n[notebooks/01_one.ipynb](../notebooks/01_one.ipynb)" in notebooks_page(
        [path]
    )
