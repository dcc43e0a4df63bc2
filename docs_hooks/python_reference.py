"""The Python reference: the public names, and every module of the packages with one file a method, new ones too."""

import importlib
import inspect
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
    "comparison": ("Comparison", "What a sweep's runs say together.", "mtbkd.comparison"),
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


def public_page() -> str:
    """Markdown that asks mkdocstrings for each name of `import mtbkd`; a name shown on another page is linked to."""
    import mtbkd

    elsewhere = {package: page for page, (_, _, package) in PACKAGES.items()}
    shown, links = [], []
    for name in mtbkd.__all__:
        value = getattr(mtbkd, name)
        if inspect.ismodule(value):
            if value.__name__ in elsewhere:
                links.append(f"- `mtbkd.{name}`: [{value.__name__}]({elsewhere[value.__name__]}.md)")
            continue
        module = mtbkd.LAZY.get(name, "mtbkd")
        page = elsewhere.get(module.rpartition(".")[0])
        if page:
            links.append(f"- `mtbkd.{name}`: [{module}.{name}]({page}.md#{module}.{name})")
        else:
            shown.append(f"::: {module}.{name}")
    said = "What `import mtbkd` offers; everything else is a module's own."
    return "\n\n".join(["# Public names", said, "\n".join(links), *shown]) + "\n"


def on_files(files: Any, config: Any, **_: Any) -> Any:
    """Add the pages to what mkdocs builds."""
    files.append(File.generated(config, "reference/mtbkd.md", content=public_page()))
    for name, page in PACKAGES.items():
        files.append(File.generated(config, f"reference/{name}.md", content=package_page(*page)))
    return files
