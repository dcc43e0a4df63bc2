"""Scores of more draws than fit into memory: the peak is that of one chunk, whatever the number of draws."""

import subprocess
import sys

# Draws made one chunk at a time; a small evaluation first, so that what is the same for all sizes is there already.
SCRIPT = """
import resource, sys, torch
from mtbkd.evaluation.scores import evaluate
from mtbkd.prediction_summary import PredictionSummary

n, k, draws, chunk = (int(word) for word in sys.argv[1:])
y = torch.arange(n) % k
evaluate(torch.full((5000, k), 1 / k), y[:5000])
chunks = (torch.rand(chunk, n, k).softmax(-1) for _ in range(draws // chunk))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
scores = evaluate(PredictionSummary.of_draws(chunks), y)
assert scores["n"] == n and 0 < scores["epistemic"] < scores["total"]
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_does_not_grow_with_the_draws():
    n, k, draws, chunk = 40_000, 10, 120, 4
    words = [str(word) for word in (n, k, draws, chunk)]
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, check=True, timeout=300
    )
    all_at_once = 4 * draws * n * k  # 192 MB in float32
    assert int(told.stdout) * 1024 < all_at_once / 3  # measured: an eighth
