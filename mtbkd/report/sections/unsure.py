"""The inputs that the student is least sure of, as people look at them, with everyone's opinion."""

import numpy as np

from mtbkd.report import inputs
from mtbkd.report.blocks import BarView, Block, Card, Cards, Section, Words
from mtbkd.report.content import Opinion, ReportContent, UnsureInput
from mtbkd.report.tables import student_of

TOP_CLASSES = 3  # of the student


def section(content: ReportContent) -> Section:
    """A card an input."""
    blocks: list[Block] = []
    if content.least_sure:
        ensemble = student_of(content.metrics) == "ensemble of students"
        line = "the middle 90% of its members" if ensemble else "its 90% credible interval"
        blocks.append(
            Words(
                "Test inputs of largest total uncertainty. Bars are mean probabilities, the thin line "
                f"{line}; ✓ marks the truth."
            )
        )
        blocks.append(Cards("least-sure", [_card(content, item) for item in content.least_sure]))
    else:
        blocks.append(
            Words(
                "Left out: none were asked for (report.least_sure), or the run made no test predictions.",
                "missing",
            )
        )
    return Section("unsure", "Where the student is least sure", "Least sure", blocks)


def _card(content: ReportContent, item: UnsureInput) -> Card:
    if isinstance(item.value, str):
        shown = inputs.sequence(item.value)
    elif item.value.ndim > 1:  # a picture, also where a network is shown its pixels as a vector
        shown = inputs.picture(item.value, f"input {item.id}")
    else:
        shown = inputs.values(item.value, content.feature_names)
    best = np.argsort(-item.student.probs)[:TOP_CLASSES]
    bars = [_bar(content, item, item.student, int(k), i == 0) for i, k in enumerate(best)]
    bars += [_bar(content, item, opinion, int(opinion.probs.argmax())) for opinion in item.teachers]
    truth = None if item.truth is None else content.class_names[item.truth]
    return Card(item, shown, truth, bars)


def _bar(content: ReportContent, item: UnsureInput, opinion: Opinion, k: int, named: bool = True) -> BarView:
    return BarView(
        model=opinion.name,
        label=content.class_names[k],
        p=float(opinion.probs[k]),
        low=None if opinion.lower is None else float(opinion.lower[k]),
        high=None if opinion.upper is None else float(opinion.upper[k]),
        right=k == item.truth,
        named=named,
    )
