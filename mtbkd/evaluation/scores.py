"""One call that scores a prediction against labels: `evaluate`."""

import math

import numpy as np
from torch import Tensor

from mtbkd.evaluation import calibration, proper_scores, selective
from mtbkd.evaluation.calibration_intervals import calibration_intervals
from mtbkd.evaluation.labelled import Labelled, Predicted
from mtbkd.evaluation.score_intervals import nll_interval, wilson_interval

# The first score of each part of the printed table.
PARTS = ("n", "nll", "ece", "confidence", "aurc", "total")


class Scores(dict[str, float | int | None]):
    """Scores by name, plain numbers, None where undefined; prints as a table, intervals beside what they are of.

    n: labelled inputs
    accuracy, nll: each with _low, _high: 95 % interval over inputs, Wilson's and Student's t
    balanced_accuracy: mean over the classes with labelled inputs of the share of theirs that is named rightly
    macro_f1: mean over the classes that are true or named somewhere of 2 precision recall / (precision + recall)
    nll: nats per input; None where infinite, which `impossible` explains
    impossible: share of inputs whose true class was given probability exactly 0
    brier: summed over classes, = brier_reliability - brier_resolution + brier_uncertainty but for what claims vary
        within bins (`proper_scores.BrierParts`)
    ece, ece_adaptive, ece_classwise, mce: calibration errors, 15 bins; each with _low, _high: 95 % bootstrap interval,
        which takes off what chance adds to an error and so may end below it (`calibration_intervals`)
    ece_band_low, ece_band_high: where 95 % of ECEs fall for a perfectly calibrated student on these inputs
    confidence: mean of the largest probability; above accuracy means overconfident
    sharpness: mean of sum_k p_k^2; 1 - sharpness is the Brier score that a calibrated student would have
    aurc, aurc_excess: area under the risk-coverage curve, and above the oracle's
    accuracy_at_80, accuracy_at_90: accuracy where only the surest 80 %, 90 % are answered
    total, aleatoric, epistemic: mean uncertainties in nats; one draw has no aleatoric and epistemic parts
    deviance: the "mean deviance" of the released MT-BKD code, 2 E H[p], twice the aleatoric part
    """

    def __str__(self) -> str:
        shown = {name: _shown(value) for name, value in self.items() if not self._is_bound(name)}
        width = max(map(len, shown), default=0)
        lines: list[str] = []
        for name, value in shown.items():
            if name in PARTS and lines:
                lines.append("")
            lines.append(f"{name:<{width}}  {value:>8}{self._interval(name)}")
        return "\n".join(lines)

    def _is_bound(self, name: str) -> bool:
        return name.endswith(("_low", "_high")) and name.rsplit("_", 1)[0].removesuffix("_band") in self

    def _interval(self, name: str) -> str:
        text = ""
        for kind, word in (("", "  95 % interval"), ("_band", ", if calibrated")):
            bounds = [self.get(f"{name}{kind}_{side}") for side in ("low", "high")]
            if None not in bounds:
                text += f"{word} {_shown(bounds[0])} to {_shown(bounds[1])}"
        return text


def evaluate(predicted: Predicted, y: Tensor, seed: int = 0) -> Scores:
    """Score class probabilities against labels.

    predicted: a Prediction, or its summary, or probabilities `[N, K]`, or draws of them `[S, N, K]`; of more draws
        than fit into memory, `PredictionSummary.of_draws` or `.of_rows` makes a summary a chunk at a time
    y: `[N]` class indices; rows with -1 are ignored
    seed: of the bootstrap and of the simulated calibration band
    raises: InputError for no labelled row, shapes that do not fit, labels outside -1..K-1, rows that are not
        probabilities
    """
    from sklearn.metrics import f1_score, recall_score

    given = Labelled.of(predicted, y, "evaluate")
    prediction, rows, probs, truth = given.prediction, given.rows, given.probs, given.y
    rng = np.random.default_rng(seed)
    confidence, named = probs.max(1), probs.argmax(1)
    correct = named == truth
    accuracy = wilson_interval(correct)
    loss, of_loss = proper_scores.nll(probs, truth), nll_interval(probs, truth)
    parts = proper_scores.brier_decomposition(probs, truth)
    intervals = calibration_intervals(probs, truth, rng)
    band_low, band_high = calibration.ece_band(probs, rng)
    drawn = prediction.num_draws > 1
    aleatoric = float(prediction.aleatoric[rows].double().mean()) if drawn else None
    return Scores(
        n=len(truth),
        accuracy=float(correct.mean()),
        accuracy_low=accuracy[0],
        accuracy_high=accuracy[1],
        # of the classes with labels: scikit-learn's balanced accuracy, which warns where others are named
        balanced_accuracy=float(
            recall_score(truth, named, labels=np.unique(truth), average="macro", zero_division=0)
        ),
        macro_f1=float(f1_score(truth, named, average="macro", zero_division=0)),
        nll=loss if math.isfinite(loss) else None,
        nll_low=None if of_loss is None else of_loss[0],
        nll_high=None if of_loss is None else of_loss[1],
        impossible=float((probs[np.arange(len(truth)), truth] == 0).mean()),
        brier=proper_scores.brier(probs, truth),
        brier_reliability=parts.reliability,
        brier_resolution=parts.resolution,
        brier_uncertainty=parts.uncertainty,
        ece=calibration.ece(probs, truth),
        ece_low=intervals["ece"][0],
        ece_high=intervals["ece"][1],
        ece_band_low=band_low,
        ece_band_high=band_high,
        ece_adaptive=calibration.ece_adaptive(probs, truth),
        ece_adaptive_low=intervals["ece_adaptive"][0],
        ece_adaptive_high=intervals["ece_adaptive"][1],
        ece_classwise=calibration.ece_classwise(probs, truth),
        ece_classwise_low=intervals["ece_classwise"][0],
        ece_classwise_high=intervals["ece_classwise"][1],
        mce=calibration.mce(probs, truth),
        mce_low=intervals["mce"][0],
        mce_high=intervals["mce"][1],
        confidence=float(confidence.mean()),
        sharpness=proper_scores.sharpness(probs),
        aurc=selective.aurc(confidence, correct),
        aurc_excess=selective.excess_aurc(confidence, correct),
        accuracy_at_80=selective.accuracy_at_coverage(confidence, correct, 0.8),
        accuracy_at_90=selective.accuracy_at_coverage(confidence, correct, 0.9),
        total=float(prediction.total[rows].double().mean()),
        aleatoric=aleatoric,
        epistemic=float(prediction.epistemic[rows].double().mean()) if drawn else None,
        deviance=None if aleatoric is None else 2 * aleatoric,
    )


def _shown(value: float | int | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.4f}"
