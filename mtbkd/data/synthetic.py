"""Rows whose class probabilities are known: drawn from a random network, so that credible intervals can be checked.

    x ~ N(0, I)      theta ~ N(0, truth_scale^2 / inputs of the unit), biases N(0, truth_scale^2)
    p = softmax f_theta(x)      y ~ Cat(p)

With `truth_hidden`, `truth_activation`, `truth_scale` as the student's network and `fan_in` prior, the truth is a draw
from the student's prior; otherwise the student is misspecified. Inputs are not standardised, for the same reason.

A teacher comes with the data, `votes`: the frequencies of `votes` further labels drawn at each input. With
`prior.concentration` equal to `votes` its Dirichlet, as a function of the student, is the likelihood of these labels.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from mtbkd.data.assembly import assemble
from mtbkd.data.distillation import DistillationData, Rows
from mtbkd.data.splits import Split
from mtbkd.errors import require_at_least, require_choice, require_fraction, require_positive

# Independent random streams of one seed, apart from those of splits and labels.
_INPUTS, _TRUTH, _LABELS, _VOTES = 20, 21, 22, 23
ACTIVATIONS = ("tanh", "relu")


@dataclass(frozen=True)
class SyntheticConfig:
    """pool, validation, test: numbers of rows; features, classes: D and K; truth_hidden, truth_activation, truth_scale:
    network and prior that the truth is drawn from; votes: labels a teacher saw at each input."""

    pool: int = 200
    validation: int = 100
    test: int = 100
    features: int = 2
    classes: int = 3
    truth_hidden: list[int] = field(default_factory=lambda: [8])
    truth_activation: str = "tanh"
    truth_scale: float = 2.0
    votes: int = 5
    labelled_fraction: float = 0.5

    def __post_init__(self) -> None:
        require_at_least(1, **{"data.pool": self.pool, "data.features": self.features})
        require_at_least(0, **{"data.validation": self.validation, "data.test": self.test})
        require_at_least(2, **{"data.classes": self.classes})
        require_at_least(1, **{"data.votes": self.votes})
        require_at_least(1, **{"data.truth_hidden": min(self.truth_hidden, default=1)})
        require_choice("data.truth_activation", self.truth_activation, ACTIVATIONS)
        require_positive(**{"data.truth_scale": self.truth_scale})
        require_fraction(labelled_fraction=self.labelled_fraction)


def load(config: SyntheticConfig, seed: int) -> DistillationData:
    """Another truth and other rows for each seed; 200 pool, 100 validation and 100 test rows by default."""
    sizes = (config.pool, config.validation, config.test)
    count = sum(sizes)
    x = np.random.default_rng([seed, _INPUTS]).standard_normal((count, config.features)).astype(np.float32)
    index = np.arange(count)
    split = Split(*np.split(index, np.cumsum(sizes)[:-1]))
    truth = true_probs(config, seed, torch.from_numpy(x))
    probs = truth.numpy()
    rows = Rows(
        x=torch.from_numpy(x),
        y=torch.from_numpy(drawn(probs, 1, np.random.default_rng([seed, _LABELS])).argmax(1)),
        ids=index.astype(str),
        index=torch.from_numpy(index),
        truth=truth,
    )
    counts = drawn(probs, config.votes, np.random.default_rng([seed, _VOTES]))
    with np.errstate(divide="ignore"):  # no vote: a log-probability of -inf
        votes = torch.from_numpy(np.log(counts / config.votes)).float()
    named = {"pool": split.pool, "validation": split.validation, "test": split.test}
    supplied = {"votes": {part: votes[torch.from_numpy(at)] for part, at in named.items() if len(at)}}
    names = tuple(str(k) for k in range(config.classes))
    return assemble("synthetic", rows, split, names, config.labelled_fraction, seed, supplied=supplied)


def true_probs(config: SyntheticConfig, seed: int, x: Tensor) -> Tensor:
    """The class probabilities `[n, K]` (float64) of inputs `[n, D]` that the labels of that seed were drawn from."""
    rng = np.random.default_rng([seed, _TRUTH])
    widths = [config.features, *config.truth_hidden, config.classes]
    h = x.double().numpy()
    for layer, (inputs, outputs) in enumerate(pairwise(widths)):
        if layer:
            h = np.tanh(h) if config.truth_activation == "tanh" else np.maximum(h, 0)
        weight = rng.standard_normal((inputs, outputs)) * config.truth_scale / np.sqrt(inputs)
        h = h @ weight + config.truth_scale * rng.standard_normal(outputs)
    return torch.softmax(torch.from_numpy(h), -1)


def drawn(probs: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
    """How often each class came up in `number` draws from rows `[n, K]`, `[n, K]`."""
    return rng.multinomial(number, probs / probs.sum(1, keepdims=True))
