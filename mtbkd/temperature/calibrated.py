"""Each teacher at the temperature that fits held-out labels best (Guo et al., ICML 2017)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.errors import InputError, require_positive
from mtbkd.rules import HeldOut, held_out_rows
from mtbkd.teachers.bank import TeacherBank


@dataclass(frozen=True)
class CalibratedConfig:
    """lower, upper: bounds of the search for each teacher's temperature."""

    lower: float = 0.05
    upper: float = 20.0

    def __post_init__(self) -> None:
        require_positive(**{"temperature.lower": self.lower, "temperature.upper": self.upper})
        if self.lower > self.upper:
            raise InputError(
                f"temperature.lower is {self.lower}, above temperature.upper {self.upper}; exchange them"
            )


def calibrated(
    bank: TeacherBank,
    labels: Tensor | None = None,
    held_out: HeldOut | None = None,
    lower: float = 0.05,
    upper: float = 20.0,
) -> Tensor:
    """Temperatures `[M]`, each minimising its teacher's negative log-likelihood on held-out labels.

        tau_m = argmin_tau -sum_i log mean_s softmax(z_ms(x_i) / tau)[y_i]

    held_out: the same teachers at rows that none was trained on; the pool's labels are not used.
    A label that a teacher gave probability 0 costs infinitely much at every temperature: such rows say
    nothing about tau and are left out. Raises `InputError` where no labelled row is left.
    """
    rows = held_out_rows("temperature 'calibrated'", bank, held_out)
    fits = zip(rows.bank.names, rows.bank.predictions, strict=True)
    return torch.tensor([_fit(name, z, rows.labels, lower, upper) for name, z in fits])


def _fit(name: str, logits: Tensor, labels: Tensor, lower: float, upper: float) -> float:
    from scipy.optimize import minimize_scalar

    z = logits.double()
    target = labels[None, :, None].expand(len(z), -1, 1)
    possible = (z.gather(2, target) > -torch.inf).any(0)[:, 0]
    if not bool(possible.any()):
        raise InputError(
            f"teacher '{name}': gives the label of every held-out row probability 0; "
            "check the order of its classes, or use temperature 'fixed'"
        )
    z, target = z[:, possible], target[:, possible]

    def loss(log_tau: float) -> float:
        log_p = torch.log_softmax(z / math.exp(log_tau), -1).gather(2, target)
        return -float(log_p.logsumexp(0).mean())

    bounds = (math.log(lower), math.log(upper))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return math.exp(found.x)
