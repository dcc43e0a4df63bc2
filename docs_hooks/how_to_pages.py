"""How-to pages by being there: those of docs/howto that mkdocs.yml does not order, and a page of the notebooks."""

import json
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = "howto/notebooks.md"


def unlisted(listed: list[str], folder: Path) -> list[str]:
    """Pages of docs/howto that are not listed, by name."""
    return [
        f"howto/{path.name}" for path in sorted(folder.glob("*.md")) if f"howto/{path.name}" not in listed
    ]


def first_words(notebook: Path) -> tuple[str, str]:
    """A notebook's title and first paragraph, from its first cell."""
    cell = "".join(json.loads(notebook.read_text())["cells"][0]["source"])
    title, _, rest = cell.strip().partition("\n")
    return title.lstrip("# "), rest.strip().split("\n\n")[0].replace("\n", " ")


def notebooks_page(notebooks: list[Path]) -> str:
    """Markdown of the page that lists the notebooks."""
    parts = ["# Notebooks", "Read, changed and run with Jupyter; their outputs are in them."]
    for path in notebooks:
        title, said = first_words(path)
        parts.append(f"## {title}\n\n{said}\n\n[notebooks/{path.name}](../notebooks/{path.name})")
    return "\n\n".join(parts) + "\n"


def on_config(config: Any, **_: Any) -> Any:
    """Add to How to what is not in it."""
    pages = next(entry["How to"] for entry in config.nav if "How to" in entry)
    listed = [path for entry in pages for path in entry.values()]
    pages += [*unlisted(listed, Path(config.docs_dir) / "howto"), NOTEBOOKS]
    return config


def on_files(files: Any, config: Any, **_: Any) -> Any:
    """Add the page of notebooks, and the notebooks themselves."""
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    files.append(File.generated(config, NOTEBOOKS, content=notebooks_page(notebooks)))
    for path in notebooks:
        files.append(File.generated(config, f"notebooks/{path.name}", abs_src_path=str(path)))
    return files
