"""Class by class: how often each is found, how often it is rightly named, and what it is taken for."""

import numpy as np
import torch

from mtbkd.evaluation.per_class import PerClass, per_class
from mtbkd.report.blocks import Block, Figures, FigureView, Section, Table, Words
from mtbkd.report.class_figures import confusion_matrix
from mtbkd.report.content import FoundTable, ReportContent

MOST, FEW = 30, 10  # classes and confusions shown, more of them are in the file
KEPT = 200  # confusions in the file
DRAWN = 60  # classes, up to which the confusion matrix is a picture
CAPTION = (
    "A row a true class, a column what the student takes it for; the stronger the colour, the larger the share of "
    "the row. Blue: right; red: wrong. Empty cells did not happen."
)


def section(content: ReportContent) -> Section:
    """Confusion matrix, table by class, the commonest confusions."""
    test = content.test
    if test is None or not test.scored:
        why = Words("Left out: there are no labelled test inputs to count by class.", "missing")
        return Section("classes", "Class by class", "Classes", [why])
    names, found = content.class_names, per_class(torch.from_numpy(test.probs), torch.from_numpy(test.y))
    counts = found.confusion
    blocks: list[Block] = []
    confused = Table("confusions", _confusions(counts, names), FEW)
    if len(names) <= DRAWN:
        true, taken = (grid.ravel() for grid in np.indices(counts.shape))
        view = FigureView(
            "confusion-matrix",
            confusion_matrix(test.probs, test.y, names),
            f"Confusion matrix of {len(names)} classes: {counts.trace()} of {counts.sum()} test inputs are on its "
            "diagonal, named rightly",
            CAPTION,
            {
                "true": np.asarray(names)[true],
                "predicted": np.asarray(names)[taken],
                "inputs": counts.ravel(),
            },
        )
        blocks.append(Figures([view], beside=[confused]))
    else:
        blocks.append(confused)
    blocks.append(Table("classes", _by_class(found, names, test.probs[test.y >= 0].sum(0)), MOST))
    return Section("classes", "Class by class", "Classes", blocks)


def _by_class(found: PerClass, names: tuple[str, ...], expected: np.ndarray) -> FoundTable:
    rows = [
        (
            names[k],
            f"{found.support[k]:,}",
            f"{found.named[k]:,}",
            f"{expected[k]:,.1f}",
            _shown(found.recall[k], ".1%"),
            _shown(found.precision[k], ".1%"),
            _shown(found.f1[k], ".3f"),
            _shown(found.ece[k], ".3f"),
        )
        for k in np.argsort(np.where(np.isnan(found.f1), 2, found.f1), kind="stable")
    ]
    return FoundTable(
        "Each class",
        "The hardest first. Expected: the sum of the student's probabilities of the class, which should be near the "
        "number of inputs that have it. Recall: share of its inputs that are found; precision: share of what is "
        "called so that is so; F1: their harmonic mean; ECE: of the class's probability.",
        ("Class", "Inputs", "Called so", "Expected", "Recall", "Precision", "F1", "ECE"),
        tuple(rows),
    )


def _confusions(counts: np.ndarray, names: tuple[str, ...]) -> FoundTable:
    wrong = counts - np.diag(counts.diagonal())
    order = np.argsort(-wrong, axis=None, kind="stable")[: np.count_nonzero(wrong)]
    true, taken = np.unravel_index(order, counts.shape)
    rows = tuple((names[i], names[j], f"{wrong[i, j]:,}") for i, j in zip(true, taken, strict=True))
    text = "Most frequent first." if rows else "None: every test input is named rightly."
    return FoundTable("What is taken for what", text, ("True class", "Taken for", "Inputs"), rows[:KEPT])


def _shown(value: float, form: str) -> str:
    return "–" if np.isnan(value) else format(value, form)
