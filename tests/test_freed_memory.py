"""What a gradient frees is kept for the next one, by glibc: no page is asked for twice."""

import platform
import subprocess
import sys

import pytest

# Twelve blocks of 1 MB, written and freed together, as a gradient's intermediates are; pages asked for in the last ten
# of twenty rounds. (Of a density that was not planned, about all 3,072 of each round, in most processes.)
ROUNDS = """
import resource
import pyro
import pyro.distributions as dist
import torch
from mtbkd.density import Density

torch.set_num_threads(1)
Density(lambda x: pyro.sample("z", dist.Normal(x.sum(), 1.0)), (torch.zeros(3),)).plan(1, 10)
for turn in range(20):
    if turn == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.ones(2**18) for _ in range(12)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have rules of their own")
def test_no_page_is_asked_for_twice():
    done = subprocess.run([sys.executable, "-c", ROUNDS], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 3072
