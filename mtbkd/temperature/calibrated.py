"""Each teacher at the temperature that fits held-out labels best (Guo et al., ICML 2017)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.data.distillation import check_labels
from mtbkd.errors import InputError, require_positive
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
    held_out: TeacherBank | None = None,
    labels: Tensor | None = None,
    lower: float = 0.05,
    upper: float = 20.0,
) -> Tensor:
    """Temperatures `[M]`, each minimising its teacher's negative log-likelihood on held-out labels.

        tau_m = argmin_tau -sum_i log mean_s softmax(z_ms(x_i) / tau)[y_i]

    held_out: the same teachers at rows none was trained on; labels: `[N]` of those rows, -1 unlabelled.
    A label that a teacher gave probability 0 costs infinitely much at every temperature: such rows say
    nothing about tau and are left out. Raises `InputError` where no labelled row is left.
    """
    labelled = None if labels is None else labels >= 0
    if held_out is None or labels is None or labelled is None or not bool(labelled.any()):
        raise InputError(
            "temperature 'calibrated': there is no labelled held-out row; "
            "give validation rows with labels, or use temperature 'fixed'"
        )
    if held_out.names != bank.names or len(labels) != held_out.num_rows:
        raise InputError(
            f"temperature 'calibrated': held-out teachers {', '.join(held_out.names)} with "
            f"{held_out.num_rows} rows and {len(labels)} labels; give the bank's teachers "
            f"({', '.join(bank.names)}) and one label a row"
        )
    check_labels("temperature 'calibrated'", labels, bank.num_classes)
    rows = held_out.take(labelled.nonzero().flatten())
    fits = zip(rows.names, rows.predictions, strict=True)
    return torch.tensor([_fit(name, z, labels[labelled], lower, upper) for name, z in fits])


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
