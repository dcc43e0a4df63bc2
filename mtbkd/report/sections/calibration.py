"""Whether the student's probabilities can be taken at their word, and its conformal sets."""

from collections.abc import Iterator

from mtbkd.report.blocks import Block, Facts, Figures, FigureView, Section, Words, student_metrics
from mtbkd.report.calibration_figures import reliability_data, reliability_diagram
from mtbkd.report.content import ReportContent
from mtbkd.report.tables import student_of

CAPTION = (
    "Right as often as it claims: points on the dashed line. Above it the student is too modest, below it too sure. "
    "Blue blocks: where 95% of a perfectly calibrated student's points would be. Bars: inputs in each bin."
)
IN_BRACKETS = "In brackets: 95% intervals over test inputs."
# What stands beside the diagram, by its key in the metrics: its name, and its interval's ends where it has one.
NUMBERS = {
    "ece": "ECE, 15 equal bins",
    "ece_adaptive": "adaptive ECE",
    "ece_classwise": "class-wise ECE",
    "mce": "MCE, the worst bin",
    "brier_reliability": "Brier, miscalibration",
    "brier_resolution": "Brier, resolution",
    "brier_uncertainty": "Brier, of the labels alone",
    "sharpness": "sharpness",
    "confidence": "mean confidence",
    "accuracy": "accuracy",
}


def section(content: ReportContent) -> Section:
    """Reliability diagram with its numbers beside it."""
    test = content.test
    blocks: list[Block] = []
    if test is None or not test.scored:
        blocks.append(
            Words("Left out: there are no labelled test inputs to compare the probabilities with.", "missing")
        )
    else:
        data = reliability_data(test.probs, test.y)
        called = student_of(content.metrics)
        view = FigureView(
            "reliability",
            reliability_diagram(test.probs, test.y),
            f"Reliability diagram of the {called} on {(test.y >= 0).sum()} test inputs",
            CAPTION,
            {
                "bin_from": data.edges[:-1],
                "bin_to": data.edges[1:],
                "inputs": data.count,
                "confidence": data.confidence,
                "accuracy": data.accuracy,
                "calibrated_low": data.low,
                "calibrated_high": data.high,
            },
        )
        blocks.append(Figures([view], beside=[Facts(dict(_numbers(content))), Words(IN_BRACKETS, "note")]))
    return Section("calibration", "Calibration", "Calibration", blocks)


def _numbers(content: ReportContent) -> Iterator[tuple[str, str]]:
    said = student_metrics(content)
    for key, name in NUMBERS.items():
        if said.get(key) is None:
            continue
        low, high = said.get(f"{key}_low"), said.get(f"{key}_high")
        interval = "" if low is None or high is None else f" ({low:.3f} to {high:.3f})"
        yield name, f"{said[key]:.3f}{interval}"
        low, high = said.get(f"{key}_band_low"), said.get(f"{key}_band_high")
        if low is not None and high is not None:
            yield f"{name.split(',')[0]} of a calibrated student", f"{low:.3f} to {high:.3f}"
