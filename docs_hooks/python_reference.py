"""The Python reference of packages with one file a method: every module of each, new ones by themselves."""

import importlib
import pkgutil
from typing import Any

from mkdocs.structure.files import File

# Page, its title, what it says first, and the package whose modules it shows.
PACKAGES = {
    "weighting": ("Weightings", "Each is `mtbkd.weighting.NAME(bank, labels=None, ...)`.", "mtbkd.weighting"),
    "temperature": ("Temperatures", "How much a teacher is softened.", "mtbkd.temperature"),
    "priors": ("Priors", "Teachers and weights as one factor of the student's prior.", "mtbkd.priors"),
    "students": (
        "Students",
        "Networks, the Pyro model round them, and priors on their weights.",
        "mtbkd.students",
    ),
    "inference": ("Engines", "Each engine's configuration and its `sample`.", "mtbkd.inference"),
    "evaluation": ("Evaluation", "What predictions and chains are asked.", "mtbkd.evaluation"),
    "teachers": ("Teachers", "Kinds of teachers, the bank, and the cache.", "mtbkd.teachers"),
    "data": ("Data", "Sources of inputs and labels.", "mtbkd.data"),
    "report": ("Report", "Figures, tables and the page.", "mtbkd.report"),
}


def modules(package: str) -> list[str]:
    """Full names of a package's modules."""
    found = importlib.import_module(package)
    return sorted(f"{package}.{info.name}" for info in pkgutil.iter_modules(found.__path__))


def package_page(title: str, said: str, package: str) -> str:
    """Markdown that asks mkdocstrings for every module of the package."""
    parts = [f"# {title}", said, *(f"::: {module}" for module in modules(package))]
    return "\n\n".join(parts) + "\n"


def on_files(files: Any, config: Any, **_: Any) -> Any:
    """Add the pages to what mkdocs builds."""
    for name, page in PACKAGES.items():
        files.append(File.generated(config, f"reference/{name}.md", content=package_page(*page)))
    return files
