"""The pages of the documentation: their code runs, their commands are commands, and they name what there is."""

import importlib.util
import re
import shlex
import shutil
import sys

import pytest
import tiny_runs
from omegaconf import OmegaConf
from page_examples import PAGES, ROOT, blocks, check_command, commands_of, python_of, run_python

import mtbkd.weighting
from mtbkd import registry
from mtbkd.cli import conf_folder
from mtbkd.configuration import plain
from mtbkd.pipeline import run
from mtbkd.run_directory import RunDirectory

TEACHERS = (ROOT / "docs" / "teachers.md").read_text()
# Whose examples have tests of their own: tests/test_readme.py, tests/test_your_own_table.py.
APART = {"README.md", "your_own_table.md"}
WITH_PYTHON = [page for page in PAGES if page.name not in APART and python_of(page)]
WITH_COMMANDS = [page for page in PAGES if commands_of(page)]
# Pages whose examples take longer than a few seconds.
SLOW = {
    "first_python.md",
    "own_teachers.md",
    "own_student.md",
    "continual.md",
    "arviz.md",
}
# Pages whose commands about a table of their own are run, briefly.
RUN_BRIEFLY = ["own_data.md", "own_teachers.md"]
BRIEFLY = ["inference=map", "inference.steps=20", "baseline=none", "report=none", "compile=never"]


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def slow_if_long(page):
    return pytest.param(page, marks=pytest.mark.slow if page.name in SLOW else (), id=name_of(page))


# ---- examples ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("page", [slow_if_long(page) for page in WITH_PYTHON])
def test_a_pages_python_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MTBKD_CACHE", str(tmp_path / "cache"))
    assert run_python(page)


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name_of)
def test_a_pages_commands_are_commands(page):
    for command in commands_of(page):
        check_command(command)


def test_what_is_no_command_is_found():
    for wrong in (
        "mtbkd weighting=entropi",
        "mtbkd inference.stepz=3",
        "mtbkd -m inference=svi,hcm",
        "mtbkd seed=one",
        "make demos",
        "python -m experiments.nothing",
        "python -m experiments.proteins --dota x",
    ):
        with pytest.raises(Exception, match=r"entropi|stepz|hcm|seed|demos|nothing|dota"):
            check_command(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN_BRIEFLY)
def test_commands_on_a_pages_own_table_run(name, tmp_path, monkeypatch):
    page = ROOT / "docs" / "howto" / name
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MTBKD_CACHE", str(tmp_path / "cache"))
    run_python(page)
    commands = [command for command in commands_of(page) if "data.path=mine.csv" in command]
    assert commands
    for number, command in enumerate(commands):
        words = [*shlex.split(command)[1:], *BRIEFLY]
        run(tiny_runs.resolved(*words), RunDirectory(tmp_path / f"run{number}"), command)
        assert (tmp_path / f"run{number}" / "metrics.json").exists()


# ---- the plug-in that is shown whole ---------------------------------------------------------------------------------
@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """The files of the page on an own weighting, where the package finds them."""
    files = {block.title: block.code for block in blocks(ROOT / "docs/howto/own_weighting.md") if block.title}
    for name, code in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
    monkeypatch.setattr(
        mtbkd.weighting, "__path__", [*mtbkd.weighting.__path__, str(tmp_path / "mtbkd/weighting")]
    )
    yield tmp_path
    for name in [name for name in sys.modules if name == "mtbkd.weighting.margin"]:
        del sys.modules[name]
        del mtbkd.weighting.margin


def test_the_weighting_shown_is_found_and_has_its_yaml(plugin):
    assert "margin" in registry.names("weighting")
    written = plain(OmegaConf.load(plugin / "conf/weighting/margin.yaml"))
    assert written.pop("name") == "margin"
    assert plain(OmegaConf.structured(registry.default_config("weighting", "margin"))) == written
    lines = (plugin / "conf/weighting/margin.yaml").read_text().splitlines()
    assert all("  # " in line for line in lines)


def test_the_tests_shown_pass(plugin):
    spec = importlib.util.spec_from_file_location("test_margin", plugin / "tests/weighting/test_margin.py")
    shown = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(shown)
    found = [value for name, value in vars(shown).items() if name.startswith("test_")]
    assert len(found) == 3
    for test in found:
        test()


@pytest.mark.slow
def test_the_weighting_shown_makes_a_run(plugin, monkeypatch):
    from hydra import compose, initialize_config_dir

    from mtbkd.configuration import resolve

    shutil.copytree(conf_folder(), plugin / "conf", dirs_exist_ok=True)
    words = [*tiny_runs.tiny_overrides(plugin), *BRIEFLY, "weighting=margin", "weighting.sharpness=5"]
    with initialize_config_dir(str(plugin / "conf"), version_base="1.3"):
        config = resolve(compose("config", overrides=words))
    assert config.weighting.sharpness == 5
    run(config, RunDirectory(plugin / "run"), "mtbkd")
    assert (plugin / "run" / "metrics.json").exists()


# ---- what pages name is there ----------------------------------------------------------------------------------------
def test_every_test_that_a_page_names_is_there():
    named = {
        found for page in PAGES for found in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page.read_text())
    }
    assert len(named) > 30
    for path, test in sorted(named):
        assert not test or f"def {test}(" in (ROOT / path).read_text(), f"{path}::{test}"


def test_every_file_that_a_page_names_is_there():
    shown = {block.title for page in PAGES for block in blocks(page)}
    for page in PAGES:
        for path in re.findall(r"`((?:mtbkd|conf|experiments|tests)/[\w/]+\.\w+)", page.read_text()):
            assert (ROOT / path).exists() or path in shown or "NAME" in path, f"{name_of(page)}: {path}"


def test_choices_that_a_page_names_are_there():
    groups = [path.name for path in conf_folder().iterdir() if path.is_dir()]
    pattern = rf"(?<![\w.])({'|'.join(groups)})=([\w|,]+)"
    chosen = [(page, *found) for page in PAGES for found in re.findall(pattern, without_python(page))]
    for page, group, value in chosen:
        for name in re.split(r"[|,]", value):
            there = name in ("NAME", "margin") or (conf_folder() / group / f"{name}.yaml").exists()
            assert there, f"{name_of(page)}: {group}={name}"
    assert len(chosen) > 40


def without_python(page):
    """A page's text without its Python, in which `inference=config` names an argument."""
    text = page.read_text()
    for block in blocks(page):
        text = text.replace(block.code, "") if block.language == "python" else text
    return re.sub(r"`?fit\([^`]*`", "", text)


def test_the_page_of_engines_lists_them_all():
    page = (ROOT / "docs/concepts/engines.md").read_text()
    cells = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| ", page, re.M)
    listed = sorted(name.strip("`") for cell in cells for name in cell.split(", "))
    assert listed == sorted(path.stem for path in (conf_folder() / "inference").glob("*.yaml"))


def test_the_page_on_the_report_has_its_sections():
    listed = re.findall(r"^\| ([A-Z][^|]+) \|", (ROOT / "docs/start/report.md").read_text(), re.M)
    files = [path for path in (ROOT / "mtbkd/report/sections").glob("*.py") if path.name != "__init__.py"]
    code = "".join(path.read_text() for path in files)
    assert len(listed) == len(files)
    assert [title for title in listed if f'"{title}"' not in code] == []


@pytest.mark.parametrize(("heading", "group"), [("Weightings", "weighting"), ("Temperatures", "temperature")])
def test_a_table_lists_a_groups_methods(heading, group):
    section = TEACHERS.split(f"## {heading}")[1].split("\n## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", section, re.M)) == registry.names(group)


def test_the_table_of_pools_lists_the_priors_and_their_named_configurations():
    section = TEACHERS.split("## Pools")[1].split("\n## ")[0]
    named = {path.stem for path in (conf_folder() / "prior").glob("*.yaml")}
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.M)) == named
