"""Links to figures of the experiments, by hand."""

import docs_hooks.result_figures as hook


def test_a_link_of_the_repository_becomes_one_of_the_site(monkeypatch):
    monkeypatch.setattr(hook, "figures", lambda: ["growth.svg", "listening/broken.svg"])
    assert (
        hook.in_the_site("![a](../experiments/results/growth.svg)", "benchmarks.md")
        == "![a](figures/growth.svg)"
    )
    deeper = "![b](../../experiments/results/listening/broken.svg) [c](../other.svg)"
    assert hook.in_the_site(deeper, "howto/x.md") == "![b](../figures/listening/broken.svg) [c](../other.svg)"


def test_figures_are_found_in_folders(tmp_path):
    (tmp_path / "listening").mkdir()
    for name in ("growth.svg", "growth.csv", "listening/b.svg"):
        (tmp_path / name).touch()
    assert hook.figures(tmp_path) == ["growth.svg", "listening/b.svg"]


def test_pages_show_figures_that_are_there():
    shown = [
        link
        for page in (hook.ROOT / "docs").rglob("*.md")
        for link in hook.in_the_site(page.read_text(), page.relative_to(hook.ROOT / "docs").as_posix()).split(
            "]("
        )
        if "experiments/results/" in link.partition(")")[0] and link.partition(")")[0].endswith(".svg")
    ]
    assert shown == [], "a link that the site does not have"
