"""Docstrings' lines as Markdown, by hand."""

from docs_hooks.docstring_markdown import as_markdown


def test_named_lines_are_a_list_and_raises_a_paragraph():
    text = "Fit it.\n\nx, y: rows `[N]`\nseed: of chance,\n    of all\nRaises `InputError` for none."
    assert as_markdown(text).splitlines() == [
        "Fit it.",
        "",
        "- `x`, `y`: rows `[N]`",
        "- `seed`: of chance,",
        "    of all",
        "",
        "Raises `InputError` for none.",
    ]


def test_a_list_begins_after_an_empty_line_and_ends_with_one():
    assert as_markdown("Two.\nx: one\nIn words.").splitlines() == ["Two.", "", "- `x`: one", "", "In words."]


def test_formulas_and_sentences_are_left():
    text = "Weights: a sum.\n\n    w: 1\n\nThus: no, a sentence with more words before."
    assert as_markdown("    w: 1") == "    w: 1"
    assert as_markdown("A sentence of words: not a field.") == "A sentence of words: not a field."
    assert "    w: 1" in as_markdown(text)


def test_a_source_is_no_argument():
    assert (
        as_markdown("bins: their number\nSource: Guo 2017") == "- `bins`: their number\n- *Source*: Guo 2017"
    )
