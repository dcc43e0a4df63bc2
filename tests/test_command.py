import shlex
from types import SimpleNamespace

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from mtbkd.command import constant_keys, continuing, continuing_sweep, for_shell, quoted, run_name


def hydra_of(task, own=(), name="config", sources=()):
    return SimpleNamespace(
        overrides=SimpleNamespace(task=OmegaConf.create(list(task)), hydra=OmegaConf.create(list(own))),
        job=SimpleNamespace(config_name=name),
        runtime=SimpleNamespace(config_sources=[SimpleNamespace(provider=p, path=d) for p, d in sources]),
    )


@pytest.mark.parametrize(
    "path",
    [
        "/a/run1",
        "/a b/c",
        "/a/seed=1",
        "/a/seed=1,weighting=uniform",
        "/it's/here",
        "/x[1]{y}",
        "/back\\slash",
        "/end\\",
        "/é:#",
    ],
)
def test_a_folder_is_read_back_by_a_shell_and_by_hydra(path):
    command = continuing(hydra_of([]), path)
    words = shlex.split(command)
    override = OverridesParser.create().parse_override(words[1])
    assert words[0] == "mtbkd"
    assert override.key_or_group == "hydra.run.dir"
    assert override.value() == path
    assert not override.is_sweep_override()


def test_the_command_of_a_run_has_its_choices_and_no_launch():
    own = [
        "hydra.mode=RUN",
        "hydra.run.dir=here",
        "hydra/launcher=joblib",
        "hydra.sweep.dir=s",
        "hydra.searchpath=[x]",
    ]
    hydra = hydra_of(["student.hidden=[32]", "fresh=true", "data.path=${oc.env:HOME}/t.csv"], own)
    words = shlex.split(continuing(hydra, "/r"))
    assert words == [
        "mtbkd",
        "student.hidden=[32]",
        "data.path=${oc.env:HOME}/t.csv",
        "hydra.searchpath=[x]",
        "hydra.run.dir=/r",
    ]


def test_the_command_of_a_sweep_keeps_its_launcher():
    own = ["hydra.mode=MULTIRUN", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweep.dir=old"]
    words = shlex.split(continuing_sweep(hydra_of(["seed=0,1"], own), "/s"))
    assert words == [
        "mtbkd",
        "-m",
        "seed=0,1",
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
        "hydra.sweep.dir=/s",
    ]


def test_a_users_own_configuration_is_named():
    hydra = hydra_of([], name="mine", sources=[("main", "/conf"), ("command-line", "/own conf")])
    words = shlex.split(continuing(hydra, "/r"))
    assert words[:5] == ["mtbkd", "--config-name", "mine", "--config-dir", "/own conf"]


def test_plain_text_needs_no_quotes():
    assert quoted("out/run-1.x") == "out/run-1.x"


def test_runs_are_named_by_their_overrides():
    assert run_name(["weighting=uniform", "seed=1", "threads=2", "fresh=true"]) == "seed=1,weighting=uniform"
    assert run_name([]) == "defaults"


def test_names_are_folders_and_stay_apart():
    one, other = run_name(["data.path=/a/b/t.csv"]), run_name(["data.path=/a/c/t.csv"])
    assert one.startswith("data.path=t.csv-")
    assert one != other
    assert run_name(["x='a b'"]).startswith("x=_a_b_-")
    long = run_name([f"key{i}={'v' * 30}" for i in range(20)])
    assert len(long) < 200
    assert "/" not in long + one


def test_only_what_is_swept_names_the_runs():
    sweep = ["data=table", "+data.x=1", "seed=0,1", "inference=svi,hmc", "student.hidden=[3,2]", "~report"]
    constant = constant_keys(sweep)
    assert constant == ["data", "data.x", "student.hidden", "report"]
    one = ["data=table", "+data.x=1", "seed=0", "inference=hmc", "student.hidden=[3,2]", "~report"]
    assert run_name(one, constant) == "inference=hmc,seed=0"


def test_a_sweep_of_one_is_named_by_all():
    assert constant_keys(["seed=1", "data=table"]) == []


@pytest.mark.parametrize("word", ["a b", "x='a b'", "x='$HOME'", "x='\"'", "x=[1,2]", "!x'"])
def test_words_are_read_back_by_a_shell(word):
    assert shlex.split(for_shell(word)) == [word]


def test_hydras_quotes_stay_readable():
    assert for_shell("data.path='a b.csv'") == "\"data.path='a b.csv'\""
