"""What each label adds to a student's log density, draw by draw: what leave-one-out by `az.loo` takes away."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.data.distillation import DistillationData
from mtbkd.errors import InputError
from mtbkd.posterior import Posterior
from mtbkd.students.student import whole_labels

CHUNK_ELEMENTS = 4_000_000  # probabilities held at once

# In nats: a label of probability 0 would have a weight that is no number when it is left out.
LOWEST = torch.finfo(torch.float32).tiny


@dataclass(frozen=True)
class LabelTerms:
    """log p(y_i | x_i, theta) of each label and each draw.

    log_likelihood: `[C, S, L]` nats; y: `[L]` class indices; ids: `[L]` names of the inputs
    """

    log_likelihood: Tensor
    y: Tensor
    ids: list[str]


def label_terms(posterior: Posterior, data: DistillationData | tuple[Tensor, Tensor]) -> LabelTerms:
    """The terms of the labels that a student was fitted to, in the pool's order; never holds `[S, L, K]`.

    data: what it was fitted to, as `fit` takes it: unlabelled rows have none
    Raises `InputError` where there is no label, and where rows that augmentation made have kept their labels: one left
    out alone is still told by its copies. And where draws are of p^(1/T), T other than 1: of them a label's term would
    have to be taken away 1 / T times.
    """
    heat = posterior.posterior_temperature
    if heat != 1:
        raise InputError(
            f"label terms: draws are of p^(1/T) with posterior_temperature={heat:g}, and to leave a label out by "
            "reweighting them as draws of p would be wrong; leave out fitted_to, or fit with posterior_temperature=1"
        )
    if isinstance(data, DistillationData):
        pool = data.pool
        x, y, ids = pool.x, pool.y, pool.ids
        if bool((pool.made & (y >= 0)).any()):
            raise InputError(
                "label terms: rows that augmentation made have labels too, and leaving out one label says little while "
                "its copies stay; fit with augmentation.labels=drop"
            )
    else:
        x, y = torch.as_tensor(data[0]), whole_labels(torch.as_tensor(data[1]))
        ids = torch.arange(len(y)).numpy()
    labelled = (y >= 0).nonzero().squeeze(1)
    if not len(labelled):
        raise InputError("label terms: no row has a label (y >= 0)")
    truth = y[labelled]
    draws = posterior.num_chains * posterior.num_draws
    num_classes = posterior.predict(x[:1]).probs.shape[-1]
    parts = []
    for rows in torch.arange(len(labelled)).split(max(1, CHUNK_ELEMENTS // (draws * num_classes))):
        probs = posterior.predict(x[labelled[rows]]).by_chain
        parts.append(probs[:, :, torch.arange(len(rows)), truth[rows]].clamp(min=LOWEST).log())
    return LabelTerms(torch.cat(parts, -1), truth, ids[labelled.numpy()].astype(str).tolist())
