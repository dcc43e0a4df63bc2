"""The parts of a student's log joint, each against its formula on a tiny run."""

import pytest
import tiny_runs
import torch
from torch.distributions import Categorical, Normal

from mtbkd.fitting import fit
from mtbkd.inference import MAPConfig
from mtbkd.problem import ask, make_student, prepare
from mtbkd.progress import Progress
from mtbkd.summary.log_joint import log_joint, log_joint_tables


def test_each_part_is_its_formula(tmp_path):
    config = tiny_runs.resolved(*tiny_runs.tiny_overrides(tmp_path))
    problem = ask(config, prepare(config), Progress())
    student = make_student(config, problem.data, problem.prior)
    posterior = fit(student, problem.data, MAPConfig(steps=20), progress=False, compiled="never")
    found = log_joint(config, problem, posterior)

    pool, weights = problem.data.pool, {name: v[0, 0] for name, v in posterior.values.items()}
    logits, labelled = student.logits(weights, pool.x), pool.y >= 0
    labels = Categorical(logits=logits[labelled]).log_prob(pool.y[labelled]).sum()
    teachers = config.prior.strength * problem.prior.log_prob(logits, torch.arange(len(pool))).sum()
    precision = student.weight_precision(pool.x)
    prior = sum(Normal(0.0, precision[n].rsqrt()).log_prob(w).sum() for n, w in weights.items())
    expected = {"labels": labels.item(), "teachers": teachers.item(), "weights": float(prior)}
    assert found == pytest.approx(expected, rel=1e-4)
    assert found.keys() == expected.keys()

    (table,) = log_joint_tables(found)
    assert ("Labels", f"{labels.item():,.1f}") in table.rows
    assert log_joint_tables(None) == ()
