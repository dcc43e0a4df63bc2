import os
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from mtbkd.launching import number_of_runs, parallel_runs, prepare, swept_words

BASIC = {"_target_": "hydra._internal.BasicSweeper", "max_batch_size": None}
OPTUNA = {"_target_": "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper", "n_jobs": 2}
JOBLIB = "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"
LOCAL = {"_target_": "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher"}
SLURM = {"_target_": "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher"}
RAY = "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher"


def ray(init, remote):
    return {"_target_": RAY, "ray": {"init": {"address": None, **init}, "remote": remote}}


def hydra_of(launcher, sweeper=BASIC, runs=None, mode="MULTIRUN"):
    made = {"launcher": launcher, "sweeper": sweeper, "callbacks": {"launch": {"runs": runs}}}
    parts = OmegaConf.create(made)
    return SimpleNamespace(
        mode=SimpleNamespace(name=mode),
        launcher=parts.launcher,
        sweeper=parts.sweeper,
        callbacks=parts.callbacks,
    )


@pytest.mark.parametrize(
    ("launcher", "runs", "expected"),
    [
        ({"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"}, 6, 1),
        ({"_target_": JOBLIB, "n_jobs": 3}, 6, 3),
        ({"_target_": JOBLIB, "n_jobs": 3}, 2, 2),
        ({"_target_": JOBLIB, "n_jobs": -1}, 20, 8),
        ({"_target_": JOBLIB, "n_jobs": -3}, None, 6),
        (LOCAL, 3, 3),
        (LOCAL, 20, 20),
        (LOCAL, None, 8),
        (SLURM, 20, 1),
        (ray({}, {}), 20, 8),
        (ray({"num_cpus": 4}, {}), 20, 4),
        (ray({"num_cpus": 4}, {"num_cpus": 2}), 20, 2),
        (ray({"num_cpus": 4}, {"num_cpus": 0.5}), 20, 8),
        (ray({"num_cpus": 1}, {"num_cpus": 2}), 20, 1),
    ],
)
def test_runs_at_once_on_eight_cores(monkeypatch, launcher, runs, expected):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert parallel_runs(hydra_of(launcher, runs=runs)) == expected
    assert parallel_runs(hydra_of(launcher, runs=runs, mode="RUN")) == 1


@pytest.mark.parametrize(
    ("sweeper", "runs", "expected"),
    [(OPTUNA, None, 2), ({**BASIC, "max_batch_size": 5}, 20, 5), ({**BASIC, "max_batch_size": 5}, 3, 3)],
)
def test_a_sweeper_hands_out_some_at_a_time(monkeypatch, sweeper, runs, expected):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert parallel_runs(hydra_of(LOCAL, sweeper, runs)) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["seed=0,1,2", "inference=svi,hmc", "student.hidden=[32,16]"], 6),
        (["seed=range(0,10,2)"], 5),
        (["seed=1"], 1),
        ([], 1),
        (["student.prior_scale=interval(1,10)", "seed=0,1"], None),
        (["experiment=glob(*)"], None),
    ],
)
def test_how_many_runs_a_sweep_has(words, expected):
    assert number_of_runs(words) == expected


def test_the_words_of_a_sweep_are_the_sweepers_and_the_commands():
    hydra = OmegaConf.create(
        {"sweeper": {"params": {"seed": "range(0,3)"}}, "overrides": {"task": ["inference=svi,map"]}}
    )
    assert swept_words(hydra) == ["seed=range(0,3)", "inference=svi,map"]
    assert number_of_runs(swept_words(hydra)) == 6


def test_ray_starts_without_a_dashboard_unless_it_is_asked_for(monkeypatch):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    launcher = OmegaConf.create(ray({"num_cpus": 2}, {}))
    OmegaConf.set_struct(launcher, True)
    prepare(launcher)
    assert launcher.ray.init == {
        "include_dashboard": False,
        "logging_level": "ERROR",
        "address": None,
        "num_cpus": 2,
    }
    asked = OmegaConf.create(ray({"include_dashboard": True}, {}))
    prepare(asked)
    assert asked.ray.init.include_dashboard is True


def test_other_launchers_are_left_alone():
    launcher = OmegaConf.create(LOCAL)
    prepare(launcher)
    assert launcher == LOCAL
