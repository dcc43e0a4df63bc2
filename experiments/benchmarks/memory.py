"""Peak of memory of 16 chains of an 80,000-weight CNN on 60,000 images of 28 x 28: to be under 2 GB.

    python -m experiments.benchmarks.memory [--json] [--quick] [--device cuda]

A whole fit by SGLD with checkpoints, in a process of its own: MAP warm start, mini-batches of 128, and the log density
and gradient of a draw of all chains over all 60,000 rows, which is what HMC does at each step. The process holds
Python, torch, the 188 MB of images and the teachers besides.
"""

import json
import subprocess
import sys

from experiments.benchmarks.command import Options, main
from experiments.benchmarks.result import Result, Row


def benchmark(options: Options) -> Result:
    """One fit."""
    size = {"rows": 60_000, "chains": 16, "side": 28, "steps": 40}
    channels = [32, 64, 96]
    if options.quick:
        size = {"rows": 300, "chains": 2, "side": 8, "steps": 3}
        channels = [8, 8]
    words = [word for name, value in size.items() for word in (f"--{name}", str(value))]
    words += ["--channels", *map(str, channels), "--device", options.device]
    command = [sys.executable, "-m", "experiments.benchmarks.memory_run", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"exit code {done.returncode}: {done.stderr[-3000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    measure = (
        f"peak memory, {size['chains']} chains, CNN of {found['weights']:,} weights, N = {size['rows']:,}"
    )
    rows = [Row(measure, "", "GB", found["peak_bytes"] / 1e9, target=2.0)]
    if "peak_gpu_bytes" in found:
        rows.append(Row(measure + ", on the GPU", "", "GB", found["peak_gpu_bytes"] / 1e9))
    figures = {"peak_bytes": found["peak_bytes"], "fit_seconds": found["seconds"]}
    return Result("memory", rows, figures=figures, settings=size | {"channels": channels})


if __name__ == "__main__":
    main(benchmark, __doc__)
