"""Figures of the experiments, which lie beside their tables in experiments/results: pages show them by the path that
they have in the repository, and the site holds copies."""

import posixpath
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
RESULTS = "experiments/results"
FOLDER = "figures"  # of the site


def in_the_site(markdown: str, page: str) -> str:
    """A page's text with its links to results as the site has them; page: its path in docs."""
    folder = posixpath.dirname(page) or "."
    for name in figures():
        there = posixpath.relpath(f"../{RESULTS}/{name}", folder)
        markdown = markdown.replace(f"]({there})", f"]({posixpath.relpath(f'{FOLDER}/{name}', folder)})")
    return markdown


def figures(results: Path = ROOT / RESULTS) -> list[str]:
    """Paths of all figures in the folder of results."""
    return sorted(path.relative_to(results).as_posix() for path in results.rglob("*.svg"))


def on_files(files: Any, config: Any, **_: Any) -> Any:
    """Add the figures."""
    for name in figures():
        files.append(File.generated(config, f"{FOLDER}/{name}", abs_src_path=str(ROOT / RESULTS / name)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Show them."""
    return in_the_site(markdown, page.file.src_uri)
