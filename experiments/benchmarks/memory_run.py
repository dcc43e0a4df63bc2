"""One fit in a process of its own, so that its peak of memory is its own: what memory.py starts.

    python -m experiments.benchmarks.memory_run --rows 60000 --chains 16 ...

Prints one line of JSON: `peak_bytes` that the process held at most (on CUDA `peak_gpu_bytes` besides), `weights`,
`seconds`.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import torch

import mtbkd
from experiments.benchmarks.problem import made_up
from mtbkd.inference.sgld import SGLDConfig


def peak_bytes() -> int:
    """The most memory that this process has held. Linux counts the parent's own into `ru_maxrss`, so it is asked
    elsewhere."""
    status = Path("/proc/self/status")
    if status.is_file():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main() -> None:
    parser = argparse.ArgumentParser(description="fit a CNN by SGLD and tell the peak of memory")
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--chains", type=int, default=16)
    parser.add_argument("--side", type=int, default=28)
    parser.add_argument("--channels", type=int, nargs="+", default=[32, 64, 96])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--device", default="cpu")
    words = parser.parse_args()
    shape = (1, words.side, words.side)
    problem = made_up(words.rows, shape, held_out=1)
    student = problem.student(mtbkd.students.cnn(shape, words.channels, problem.num_classes))
    config = SGLDConfig(
        num_chains=words.chains,
        warmup=words.steps,
        draws=1,
        thin=words.steps,
        batch_size=128,
        warm_start=words.steps,
    )
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        mtbkd.fit(
            student,
            (problem.x, problem.y),
            config,
            device=words.device,
            checkpoint=f"{folder}/fit",
            progress=False,
        )
    found = {
        "peak_bytes": peak_bytes(),
        "weights": student.skeleton.num_weights,
        "seconds": time.perf_counter() - began,
    }
    if torch.device(words.device).type == "cuda":
        found["peak_gpu_bytes"] = torch.cuda.max_memory_allocated()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
