"""Draws stream to disk: a fit's own memory is that of one iteration, whatever the number of draws.

What counts is anonymous memory. Pages of the memory-mapped draws are in a process's resident size too, but the system
takes them back as it needs them.
"""

import subprocess
import sys
from pathlib import Path

import pytest

STATUS = Path("/proc/self/status")
SCRIPT = """
import sys, threading, torch
import mtbkd
from mtbkd.inference.hmc import HMCConfig
from mtbkd.inference.sgld import SGLDConfig

def anonymous():
    with open("/proc/self/status") as status:
        (line,) = (line for line in status if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024

def configured(draws):
    if sys.argv[1] == "hmc":
        return HMCConfig(num_chains=2, warmup=20, draws=draws, max_leapfrogs=1, warm_start=0)
    return SGLDConfig(num_chains=2, warmup=5, draws=draws, thin=1, batch_size=8, warm_start=0)

def fitted(draws, folder):
    torch.manual_seed(0)
    student = mtbkd.Student(mtbkd.students.mlp(300, [100], 4))
    data = (torch.randn(16, 300), torch.arange(16) % 4)
    return mtbkd.fit(student, data, configured(draws), progress=False, compiled="never", checkpoint=folder)

peak, done = 0, threading.Event()
def watch():
    global peak
    while not done.wait(0.005):
        peak = max(peak, anonymous())

folder = None if sys.argv[3] == "none" else sys.argv[3]
thread = threading.Thread(target=watch)
thread.start()
few = fitted(20, folder and folder + "/few")  # what is the same for any number is in its peak
few.predict(torch.randn(4, 300))
before = peak
posterior = fitted(int(sys.argv[2]), folder and folder + "/many")
posterior.predict(torch.randn(4, 300), memory=1e6)
done.set()
thread.join()
assert posterior.num_draws == int(sys.argv[2])
print(peak - before, posterior.stored_bytes)
"""


def grown(engine: str, draws: int, folder: Path | str) -> tuple[int, int]:
    """By how much a fit with so many draws raises a process's own memory at its peak, and the draws' size, in bytes."""
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT, engine, str(draws), str(folder)],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    grew, size = told.stdout.split()
    return int(grew), int(size)


@pytest.mark.slow
@pytest.mark.skipif(not STATUS.is_file(), reason="the system does not tell a process's anonymous memory")
@pytest.mark.parametrize("engine", ["hmc", "sgld"])
def test_memory_does_not_grow_with_the_draws(engine, tmp_path):
    grew, size = grown(engine, 600, tmp_path)
    assert size > 140e6
    assert grew < size / 8  # measured: a fifteenth with HMC, under a hundredth with SGLD
    # without a folder the draws are the process's own, and the measurement shows it
    in_memory, _ = grown(engine, 600, "none")
    assert in_memory > 0.9 * size
