"""Every YAML of conf/: it runs, it says what the code's defaults are, and it explains each key."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import skops.io
import tiny_runs
from omegaconf import OmegaConf
from sklearn.linear_model import LogisticRegression

from mtbkd import registry
from mtbkd.cli import conf_folder
from mtbkd.configuration import METHOD_GROUPS, BaselineConfig, plain
from mtbkd.pipeline import run
from mtbkd.run_directory import RunDirectory
from mtbkd.teachers import TeachersConfig

CONF = conf_folder()
CHOICES = sorted(path.relative_to(CONF).with_suffix("").as_posix() for path in CONF.glob("*/**/*.yaml"))
# A YAML with a defaults list is a named configuration of the method that the list names.
NAMED = [choice for choice in CHOICES if "defaults" in OmegaConf.load(CONF / f"{choice}.yaml")]
METHODS = [c for c in CHOICES if c.split("/")[0] in METHOD_GROUPS and c not in NAMED]

# Teachers that are trained by a run, made small.
SMALL = {
    "digits_trio": ["teachers.members.nets.epochs=1", "teachers.members.forest.params.n_estimators=4"],
    "images_trio": [
        "teachers.members.convnets.epochs=1",
        "teachers.members.convnets.channels=[4]",
        "teachers.members.forest.params.n_estimators=4",
        "teachers.members.perceptron.epochs=1",
    ],
    "table_trio": [
        "teachers.members.forest.params.n_estimators=4",
        "teachers.members.boosting.params.max_iter=3",
    ],
}
SMALL["broken"] = [
    "teachers.members.forest.params.n_estimators=4",
    "teachers.members.permuted.of.params.n_estimators=4",
]
SMALL["sixteen"] = [f"teachers.members.t{i:02d}.params.n_estimators=4" for i in (2, 6, 10, 14)]
SMALL["ensembles_trio"] = [f"teachers.members.{name}.epochs=1" for name in ("small", "wide", "deep")]
# Rules that train a copy of the student, made short.
SHORT = {
    "weighting/gradient": ["weighting.steps=4"],
    "weighting/meta": ["weighting.steps=4"],
    "temperature/learnable_temperature": ["temperature.steps=4"],
    "experiment/ae_kd": ["weighting.steps=4"],
    "experiment/mmkd": ["weighting.steps=4"],
}
ENGINE = ["inference=map", *tiny_runs.FEW_STEPS["map"], "baseline=none", "compile=never"]
FASHION = ["data.train_size=50", "data.test_size=20", "data.labelled_fraction=0.5", "student.groups=2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("conf")


@pytest.fixture(scope="module")
def table_run(folder) -> list[str]:
    return [*tiny_runs.tiny_overrides(folder), "baseline=none"]


def words_for(choice: str, folder: Path, table_run: list[str]) -> list[str]:
    """The command's words for a tiny run that uses the YAML."""
    group, _, name = choice.rpartition("/")
    cache = f"teachers.cache={folder / 'cache'}"
    images = [f"data.path={tiny_runs.write_images(folder)}", f"data.ood_path={folder / 'shapes.npz'}"]
    proteins = f"data.path={tiny_runs.write_proteins(folder)}"
    on_table = ["data=table", f"data.path={folder / 'animals.csv'}", "data.target=label"]
    on_images = ["data=images", "teachers=images_trio", *SMALL["images_trio"], *images, *ENGINE, cache]
    on_digits = ["data=digits", "teachers=digits_trio", *SMALL["digits_trio"], *ENGINE, cache]
    on_proteins = ["data=proteins", "teachers=supplied", proteins, *ENGINE, cache]
    first = "teachers.members.first"
    drawn = [word.replace("sharp.npz", "drawn.npz") for word in table_run]  # no teacher without draws
    linear = "{in_features:2,out_features:3}"
    trained = ["teachers=table_trio", *SMALL["table_trio"], *ENGINE, cache]
    special = {
        "augmentation/shift": [*on_digits, "augmentation=shift"],
        "augmentation/noise": [*trained, *on_table, "augmentation=noise"],
        "augmentation/mixup": [*trained, *on_table, "augmentation=mixup"],
        "augmentation/crop": [*trained, "data=proteins", proteins, "augmentation=crop"],
        "data/digits": on_digits,
        "features/hints": [*on_digits, "features=hints", "features.layers={nets:{2:1}}"],
        "prior/heads": [*table_run, "prior=heads", "student=heads", "student.heads=2"],
        "student/heads": [*table_run, "student=heads", "student.heads=2"],
        "experiment/hydra_heads": [
            *("experiment=hydra_heads", *SMALL["digits_trio"], *ENGINE, cache, "student.hidden=[4]"),
        ],
        "data/breast_cancer": [
            "data=breast_cancer",
            "teachers=table_trio",
            *SMALL["table_trio"],
            *ENGINE,
            cache,
        ],
        "data/imbalanced": ["data=imbalanced", "teachers=table_trio", *SMALL["table_trio"], *ENGINE, cache],
        "data/synthetic": ["data=synthetic", "teachers=supplied", *ENGINE, cache],
        "data/images": on_images,
        "data/proteins": on_proteins,
        "teachers/digits_trio": on_digits,
        "teachers/images_trio": on_images,
        "teachers/supplied": on_proteins,
        "teachers/predictions": table_run,
        "teachers/table_trio": ["teachers=table_trio", *SMALL["table_trio"], *on_table, *ENGINE, cache],
        "teachers/sixteen": [
            *("data=breast_cancer", "teachers=sixteen", *SMALL["sixteen"], *ENGINE, cache),
            "weighting=uniform",
        ],
        "experiment/numbers_of_teachers": [
            *("experiment=numbers_of_teachers", *SMALL["sixteen"], "teachers.only=[t01,t02]", *ENGINE, cache)
        ],
        "experiment/known_truth": [
            *("experiment=known_truth", *tiny_runs.FEW_STEPS["hmc"], "compile=never", cache)
        ],
        "teachers/broken": ["teachers=broken", *SMALL["broken"], *on_table, *ENGINE, cache],
        "teachers/ensembles_trio": [
            *("teachers=ensembles_trio", *SMALL["ensembles_trio"], *on_table, *ENGINE, cache)
        ],
        "teachers/torch": [
            *("teachers=torch", f"{first}.factory=torch.nn:Linear", f"+{first}.kwargs={linear}"),
            *(*on_table, *ENGINE, cache),
        ],
        "teachers/skops": [
            "teachers=skops",
            f"teachers.files=[{folder / 'm.skops'}]",
            *on_table,
            *ENGINE,
            cache,
        ],
        "teachers/saved_posterior": [
            *("teachers=saved_posterior", f"{first}.path={folder / 'first' / 'posterior'}"),
            *(*on_table, *ENGINE, cache),
        ],
        "student/cnn": [*on_images, "student=cnn", "student.channels=[4]", "student.groups=2"],
        "student/module": [
            *(word for word in table_run if not word.startswith("student.")),
            *("student=module", "student.factory=torch.nn:Linear", f"+student.kwargs={linear}"),
        ],
        "weighting/mutual_information": [*drawn, f"{group}={name}"],
        "inference": [*table_run, f"inference={name}", *tiny_runs.FEW_STEPS.get(name, [])],
        "experiment/fashion_mnist": [
            *("experiment=fashion_mnist", *images, *SMALL["images_trio"], *FASHION, "student.channels=[4]"),
            *(
                "inference.warm_start=5",
                "inference.steps=5",
                "inference.draws=3",
                "compile=never",
                cache,
                "baseline=none",
            ),
        ],
        "experiment/proteins": [
            *("experiment=proteins", proteins, "compile=never", cache, "baseline=none"),
            *("inference.warm_start=5", "inference.steps=5", "inference.draws=3"),
        ],
        "experiment/proteins_sequence": [
            *("experiment=proteins_sequence", proteins, "compile=never", cache, "baseline=none"),
            *("inference.warm_start=5", "inference.steps=5", "inference.draws=3"),
        ],
        "experiment/engine": [
            *("experiment=proteins", proteins, f"inference={name.rpartition('_')[2]}"),
            *(*tiny_runs.FEW_STEPS.get(name.rpartition("_")[2], []), "compile=never", cache, "baseline=none"),
        ],
    }
    if group == "inference":
        kept = [word for word in table_run if not word.startswith("inference")]
        return [*kept, f"inference={name}", *tiny_runs.FEW_STEPS.get(name, [])]
    plain_run = [*table_run, f"{group}={name}", *SHORT.get(choice, [])]
    return special.get(choice) or special.get(group) or plain_run


def make_what_is_loaded(choice: str, folder: Path, table_run: list[str]) -> None:
    """A fitted model and a saved posterior, for the teachers that load one."""
    data = registry.find("data", "table").load(tiny_runs.resolved(*table_run).data, 0)
    if choice == "teachers/skops":
        names = np.array(data.class_names)[data.teacher_y]
        skops.io.dump(LogisticRegression().fit(data.pool.x.numpy(), names), folder / "m.skops")
    if choice == "teachers/saved_posterior":
        run(tiny_runs.resolved(*table_run), RunDirectory(folder / "first"), "mtbkd")


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_runs(choice, folder, table_run, tmp_path, monkeypatch):
    if not choice.startswith("report/"):  # drawing takes longer than a tiny run
        monkeypatch.setattr("mtbkd.report.page.render", lambda content: content.title)
    make_what_is_loaded(choice, folder, table_run)
    words = words_for(choice, folder, table_run)
    group, _, name = choice.rpartition("/")
    assert choice.startswith("experiment/engine") or f"{group}={name}" in words
    run(tiny_runs.resolved(*words), RunDirectory(tmp_path / "run"), "mtbkd")

    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text(), parse_constant=pytest.fail)
    with np.load(tmp_path / "run" / "predictions.npz", allow_pickle=False) as said:
        mean, y = said["test_student_mean"], said["test_y"]
    np.testing.assert_allclose(mean.sum(1), 1, atol=1e-4)
    assert metrics["student"]["accuracy"] == pytest.approx((mean.argmax(1) == y).mean())
    assert json.loads((tmp_path / "run" / "run.json").read_text())["state"] == "finished"
    written = (tmp_path / "run" / "report.html").exists()
    assert written == (choice != "report/none")


@pytest.mark.parametrize("choice", METHODS)
def test_a_methods_yaml_has_its_defaults(choice):
    group, name = choice.split("/")
    written = OmegaConf.to_container(OmegaConf.load(CONF / f"{choice}.yaml"))
    assert written.pop("name") == name
    module = registry.config_class(registry.find(group, name))
    missing = [key for key, value in written.items() if value == "???"]
    defaults = plain(OmegaConf.structured(module()))
    defaults.pop("name", None)
    assert {k: v for k, v in defaults.items() if k not in missing} == {
        k: v for k, v in written.items() if k not in missing
    }
    assert set(missing) <= defaults.keys()


@pytest.mark.parametrize("group", METHOD_GROUPS)
def test_every_method_has_a_yaml(group):
    assert registry.names(group) == sorted(c.split("/")[1] for c in METHODS if c.split("/")[0] == group)


@pytest.mark.parametrize("choice", [c for c in NAMED if c.split("/")[0] in METHOD_GROUPS])
def test_a_named_configuration_changes_settings_of_its_method(choice):
    group, name = choice.split("/")
    written = OmegaConf.load(CONF / f"{choice}.yaml")
    method, own = written.pop("defaults")
    assert (own, method in registry.names(group)) == ("_self_", True)
    composed = plain(tiny_runs.composed(f"{group}={name}"))[group]
    default = plain(OmegaConf.load(CONF / group / f"{method}.yaml"))
    assert composed == default | plain(written), "and no setting that the method does not have"
    assert composed.keys() == default.keys()


@pytest.mark.parametrize(
    ("group", "fields"),
    [("teachers", dataclasses.fields(TeachersConfig)), ("baseline", dataclasses.fields(BaselineConfig))],
    ids=["teachers", "baseline"],
)
def test_the_other_groups_write_all_their_keys(group, fields):
    for path in (CONF / group).glob("*.yaml"):
        written = OmegaConf.load(path)
        assert written.name == path.stem
        assert list(written) == [field.name for field in fields], path


def test_every_kind_of_teacher_is_in_a_set():
    sets = [OmegaConf.load(path) for path in (CONF / "teachers").glob("*.yaml")]
    kinds = {member["kind"] for found in sets for member in (found.members or {}).values()}
    # What comes with the data needs no member, and a set's files are skops files.
    assert kinds | {"supplied", "skops_file"} == set(registry.names("teacher"))


@pytest.mark.parametrize(
    "path", sorted(CONF.glob("*/*.yaml")), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_every_key_is_explained(path):
    if path.parent.name == "experiment":
        assert path.read_text().startswith("# @package _global_\n# "), "what it is, in its second line"
        return
    lines = re.findall(r"^( *)([\w]+):(.*)$", path.read_text(), re.M)
    # Names of members, whose fields stand below them or beside them.
    headings = {
        key
        for indent, key, rest in lines
        if indent and (not rest.split("#")[0].strip() or rest.startswith(" {kind:"))
    }
    keys = {key for _, key, _ in lines} - {"name", "kind"} - headings  # members' comment tells of kinds
    explained = {key for _, key, rest in lines if "#" in rest}
    assert keys <= explained
