"""Predictions that are perfectly calibrated."""

import numpy as np


def calibrated(n: int, k: int = 10, seed: int = 0, scale: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and labels drawn from them."""
    rng = np.random.default_rng(seed)
    logits = scale * rng.standard_normal((n, k))
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    y = (probs.cumsum(1) > rng.random((n, 1))).argmax(1)
    return probs, y
