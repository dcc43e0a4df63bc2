import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import MissingConfigException

from mtbkd.cli import conf_folder
from mtbkd.composition_errors import explain


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["weighting=entropi"],
            "weighting=entropi: unknown choice; did you mean 'entropy'? valid: accuracy, best, ",
        ),
        (["experiment=protiens"], "experiment=protiens: unknown choice; did you mean 'proteins'?"),
        (["hydra/launcher=jobli"], "hydra/launcher=jobli: unknown choice; did you mean 'joblib'?"),
        (["wieghting=entropy"], "wieghting: unknown key; did you mean 'weighting'?"),
        (["sed=1"], "sed: unknown key; did you mean 'seed'?"),
        (
            ["inference.stepz=3"],
            "inference.stepz: unknown key of inference=svi; did you mean 'inference.steps'?",
        ),
        (["inference=hmc", "inference.warmpu=3"], "inference=hmc; did you mean 'inference.warmup'?"),
        (["teachers.members.nets.epoch=2"], "did you mean 'teachers.members.nets.epochs'?"),
        (["teachers.members.more={kind: svc}"], "added by +teachers.members.NAME={kind:KIND,...}"),
        (
            ["student=module", "student.kwargs={a: 1}"],
            "added with a plus sign, as in +student.kwargs={entry:value}",
        ),
        (["hydra.run.dirr=x"], "hydra.run.dirr: unknown key of Hydra; mtbkd --hydra-help"),
        (["student.hidden=[32"], "student.hidden=[32: cannot be read; close each bracket"),
        (["seed"], "seed: not a setting; write KEY=VALUE, as in seed=1"),
        (["seed=1,2"], "seed=1,2: several values; add -m to sweep over them"),
        (["prior=null"], "a group was given no name; choose one by GROUP=NAME"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_each_mistake_is_one_line_with_its_mend(words, told):
    with initialize_config_dir(str(conf_folder()), version_base="1.3"), pytest.raises(Exception) as caught:
        compose("config", words)
    line = explain(caught.value, conf_folder(), words)
    assert told in line
    assert "\n" not in line


def test_an_unknown_error_keeps_its_first_line():
    assert explain(ValueError("something\nmore"), conf_folder(), []) == "something"
    assert explain(ValueError(), conf_folder(), []) == "ValueError"


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("hydra/launcher/joblib", 'hydra/launcher=joblib: not installed; pip install "mtbkd[launchers]"'),
        (
            "hydra/launcher/ray",
            "hydra/launcher=ray: not installed; pip install --no-deps hydra-ray-launcher",
        ),
        ("hydra/sweeper/optuna", 'hydra/sweeper=optuna: not installed; pip install "mtbkd[launchers]"'),
        ("hydra/launcher/jobs", "hydra/launcher=jobs: unknown choice; valid: basic"),
    ],
)
def test_a_launcher_that_is_not_installed_is_told_with_what_brings_it(missing, told):
    error = MissingConfigException("missing", missing, ["basic"])
    assert explain(error, conf_folder(), []) == told
