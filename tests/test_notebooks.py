"""The notebooks run from top to bottom without a word on stderr, and are stored so that their changes can be read."""

import json
import os
import re
import shutil
import tempfile
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
config = pytest.importorskip("traitlets.config")
pytest.importorskip("ipykernel")
pytest.importorskip("ipywidgets")

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MOST_LINES = 25  # of a cell: what a reader sees at once
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_there_are_five_in_order():
    assert [path.name[:3] for path in NOTEBOOKS] == ["01_", "02_", "03_", "04_", "05_"]


def executed(path, folder):
    """The notebook, run from top to bottom in a folder of its own.

    Kernel and client talk through files there: ports that two test workers choose at once can be the same ones."""
    book = nbformat.read(shutil.copy(path, folder), as_version=4)
    with tempfile.TemporaryDirectory(prefix="kernel") as sockets:  # their names must be short
        channels = {"transport": "ipc", "ip": f"{sockets}/channel"}
        client = nbclient.NotebookClient(
            book,
            timeout=300,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
            config=config.Config({"KernelManager": channels}),
        )
        client.execute()
    return book


@every_notebook
def test_runs_without_error_or_warning(path, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    # Without sliders: a client that is no browser can wait for the end of a cell that makes one until it gives up.
    absent = tmp_path / "absent"
    absent.mkdir()
    (absent / "ipywidgets.py").write_text("raise ImportError('not here')\n")
    monkeypatch.setenv("PYTHONPATH", str(absent), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONWARNINGS", "ignore:IProgress not found")  # tqdm's, of the same absence
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))  # nobody's own start-up files
    book = executed(path, tmp_path)
    outputs = [(cell.id, output) for cell in book.cells for output in cell.get("outputs", [])]
    said = [(where, output.text) for where, output in outputs if output.get("name") == "stderr"]
    assert not said
    pictures = [output for _, output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) >= 3, "a notebook tells its story with pictures"


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("02_posterior_uncertainty", {"show_digit": lambda axes, row: None, "by_doubt": range(360)}),
        ("05_teachers_that_disagree", {"draw_density": lambda *args: None, "pools": {"a": 1, "b": 2}}),
    ],
)
def test_sliders_are_made(name, before, capsys):
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    book = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text())
    (slider,) = ["".join(cell["source"]) for cell in book["cells"] if cell["id"] == "slider"]
    exec(slider, before | {"plt": pyplot})
    pyplot.close("all")
    assert "Slider(" in capsys.readouterr().out  # what is shown where there is no browser


@every_notebook
def test_is_stored_without_outputs_and_machine_marks(path):
    book = json.loads(path.read_text())
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    assert book["metadata"] == METADATA
    for cell in book["cells"]:
        assert cell["metadata"] == {}
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
    nbformat.validate(nbformat.from_dict(book))


@every_notebook
def test_is_laid_out_so_that_changes_can_be_read(path):
    text = path.read_text()
    assert text == json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n"
    cells = json.loads(text)["cells"]
    assert all(isinstance(cell["source"], list) for cell in cells), "a line of source is a line of the file"
    names = [cell["id"] for cell in cells]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in names), (
        "ids are names, the same at each save"
    )


@every_notebook
def test_no_cell_is_longer_than_a_look(path):
    lengths = {cell["id"]: len(cell["source"]) for cell in json.loads(path.read_text())["cells"]}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


@every_notebook
def test_opens_with_a_question_and_its_settings_and_ends_with_what_to_try(path):
    cells = json.loads(path.read_text())["cells"]
    first, settings, last = ("".join(cells[place]["source"]) for place in (0, 1, -1))
    assert first.startswith("# ")
    assert "?**" in first, "the question stands in bold"
    assert cells[1]["id"] == "settings"
    assert "For real work raise" in settings
    assert "## What to try next" in last or "what to try next" in last
    assert "../docs/" in last


@every_notebook
def test_links_lead_to_files(path):
    text = "".join("".join(cell["source"]) for cell in json.loads(path.read_text())["cells"])
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert links
    missing = [link for link in links if not (path.parent / link).is_file()]
    assert not missing


def test_the_style_of_figures_has_the_reports_colours():
    from cycler import cycler
    from matplotlib import rc_params_from_file

    from mtbkd.report import svg

    style = rc_params_from_file(Path(svg.__file__).parent / "notebook.mplstyle", use_default_template=False)
    assert style["axes.prop_cycle"] == cycler("color", svg.SERIES)
    assert style["text.color"] == svg.INK
