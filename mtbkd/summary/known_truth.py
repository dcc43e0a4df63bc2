"""How near a student comes to class probabilities that are known, and how often its credible intervals hold them."""

import torch

from mtbkd.data.distillation import Rows
from mtbkd.evaluation.interval_coverage import interval_coverage
from mtbkd.posterior import Posterior
from mtbkd.prediction_summary import chunks_of_rows


def against_truth(posterior: Posterior, rows: Rows) -> dict[str, float] | None:
    """Means over these rows and their classes; None where what is true there is not known, or a draw is no number.

    returns: error, of the mean absolute difference between the posterior mean and the truth; where there are several
        draws, coverage_50, coverage_80, coverage_95 and width_50, ... of the central credible intervals that hold so
        many percent of the draws. Rows of one data set miss together: judge coverage over data sets, that is seeds
    """
    if rows.truth is None or not len(rows):
        return None
    found: dict[str, float] = {}
    for chunk in chunks_of_rows(posterior, len(rows), rows.truth.shape[1]):
        said, truth, share = posterior.predict(rows.x[chunk]), rows.truth[chunk], len(chunk) / len(rows)
        if not bool(torch.isfinite(said.probs).all()):
            return None
        told = {"error": float((said.mean.double() - truth).abs().mean())}
        if said.num_draws > 1:
            for one in interval_coverage(said, truth):
                percent = round(100 * one.mass)
                told |= {f"coverage_{percent}": one.coverage, f"width_{percent}": one.width}
        for name, value in told.items():
            found[name] = found.get(name, 0.0) + share * value
    return found
