import os

import pytest
import torch

from mtbkd import threads


@pytest.fixture
def torch_threads(monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setattr(threads, "available_cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    yield monkeypatch
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("told", "parallel", "expected"), [("3", 4, 3), ("auto", 1, 8), ("auto", 3, 2), ("auto", 16, 1)]
)
def test_parallel_runs_share_the_cores(torch_threads, told, parallel, expected):
    threads.set_threads(told, parallel)
    assert torch.get_num_threads() == expected


def test_the_environment_is_followed(torch_threads):
    torch.set_num_threads(1)
    torch_threads.setenv("OMP_NUM_THREADS", "1")
    threads.set_threads("auto", 1)
    assert torch.get_num_threads() == 1


def test_a_slurm_job_has_its_own_cores_only(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(16), raising=False)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    assert threads.available_cores() == 16
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "4")
    assert threads.available_cores() == 4
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "64")
    assert threads.available_cores() == 16
