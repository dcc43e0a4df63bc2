"""What is gained where only the surest inputs are answered."""

from mtbkd.report.blocks import Block, Facts, Figures, FigureView, Section, Words, student_metrics
from mtbkd.report.calibration_figures import risk_coverage, risk_coverage_curve
from mtbkd.report.content import ReportContent
from mtbkd.report.csv_data import stacked
from mtbkd.report.tables import student_of

CAPTION = (
    "From the right: all inputs are answered. To the left: only those that a model is surest of; the error rate among "
    "these falls quickly where a model knows what it does not know."
)
NUMBERS = {
    "accuracy_at_80": ("accuracy on the surest 80%", "{:.1%}"),
    "accuracy_at_90": ("accuracy on the surest 90%", "{:.1%}"),
    "aurc": ("area under the curve (AURC)", "{:.4f}"),
    "aurc_excess": ("AURC above the best ranking's", "{:.4f}"),
}


def section(content: ReportContent) -> Section:
    """Risk-coverage curves of the student, those that it is compared with, and the teachers together."""
    test = content.test
    blocks: list[Block] = []
    if test is None or not test.scored:
        blocks.append(
            Words("Left out: there are no labelled test inputs to be right or wrong at.", "missing")
        )
    else:
        others = {model.name: model.probs for model in content.models if model.role != "teacher"}
        called = student_of(content.metrics)
        models = {called[0].upper() + called[1:]: test.probs, **others}
        parts = {
            name: dict(zip(("coverage", "risk"), risk_coverage(probs, test.y), strict=True))
            for name, probs in models.items()
        }
        view = FigureView(
            "risk-coverage",
            risk_coverage_curve(models, test.y),
            f"Error rate against the share of inputs answered, of {', '.join(models)}",
            CAPTION,
            stacked(parts, "model"),
        )
        said = student_metrics(content)
        facts = {
            name: form.format(said[key]) for key, (name, form) in NUMBERS.items() if said.get(key) is not None
        }
        blocks.append(Figures([view], beside=[Facts(facts)] if facts else []))
    return Section("selective", "Answering only where it is sure", "Risk and coverage", blocks)
