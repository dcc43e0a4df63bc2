"""Scores against known probabilities: by hand, in chunks, and in a run on made data."""

import json

import numpy as np
import pytest
import tiny_runs
import torch
from torch import nn

from mtbkd.data.distillation import Rows
from mtbkd.pipeline import run
from mtbkd.posterior import Posterior
from mtbkd.run_directory import RunDirectory
from mtbkd.students.skeleton import Skeleton
from mtbkd.summary import known_truth
from mtbkd.summary.known_truth import against_truth


def posterior(probs: torch.Tensor) -> Posterior:
    """Draws that give the second class `probs [S]` at every input."""
    bias = torch.stack([torch.zeros_like(probs), torch.logit(probs)], -1)
    values = {"weight": torch.zeros(1, len(probs), 2, 1), "bias": bias[None]}
    return Posterior(values, torch.zeros(1, len(probs)), skeleton=Skeleton(nn.Linear(1, 2)))


def rows(second: list[float]) -> Rows:
    """Inputs whose second class is so probable in truth."""
    p, n = torch.tensor(second, dtype=torch.float64), len(second)
    index = torch.arange(n)
    truth = torch.stack([1 - p, p], 1)
    return Rows(torch.zeros(n, 1), index % 2, index.numpy().astype(str), index, truth=truth)


# Of 101 draws 0.200, 0.202, ..., 0.400 the central intervals are 0.25 to 0.35, 0.22 to 0.38 and 0.205 to 0.395.
DRAWS = torch.linspace(0.2, 0.4, 101)
SECOND = [0.3, 0.26, 0.34, 0.24, 0.37, 0.21, 0.9]


def test_by_hand():
    found = against_truth(posterior(DRAWS), rows(SECOND))
    assert found == pytest.approx(
        {
            "error": np.mean([abs(p - 0.3) for p in SECOND]),
            "coverage_50": 3 / 7,
            "width_50": 0.1,
            "coverage_80": 5 / 7,
            "width_80": 0.16,
            "coverage_95": 6 / 7,
            "width_95": 0.19,
        },
        abs=1e-6,
    )


def test_in_chunks_of_unequal_size(monkeypatch):
    whole = against_truth(posterior(DRAWS), rows(SECOND))
    monkeypatch.setattr(known_truth, "chunks_of_rows", lambda posterior, n, k: torch.arange(n).split(3))
    assert against_truth(posterior(DRAWS), rows(SECOND)) == pytest.approx(whole, abs=1e-12)


def test_a_point_has_no_intervals():
    assert against_truth(posterior(DRAWS[:1]), rows([0.2, 0.3])) == pytest.approx({"error": 0.05}, abs=1e-6)


def test_nothing_is_said_where_the_truth_is_unknown():
    known = rows(SECOND)
    unknown = Rows(known.x, known.y, known.ids, known.index)
    assert against_truth(posterior(DRAWS), unknown) is None
    assert against_truth(posterior(DRAWS), known.take(torch.arange(0))) is None


def test_nothing_is_said_of_what_is_no_number():
    assert against_truth(posterior(torch.tensor([0.2, float("nan"), 0.4])), rows(SECOND)) is None


def test_a_run_on_made_data_tells_it(tmp_path):
    words = ["data=synthetic", "teachers=supplied", "inference=svi", *tiny_runs.FEW_STEPS["svi"]]
    few = ["compile=never", "baseline=none", "student.hidden=[4]", f"teachers.cache={tmp_path}"]
    run(tiny_runs.resolved(*words, *few), RunDirectory(tmp_path / "run"), "mtbkd")
    found = json.loads((tmp_path / "run" / "metrics.json").read_text())["student"]["truth"]
    assert 0 < found["error"] < 0.5
    assert 0 < found["width_50"] < found["width_80"] < found["width_95"] < 1
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Against probabilities that are known" in page
    assert f"{found['coverage_80']:.1%}" in page
