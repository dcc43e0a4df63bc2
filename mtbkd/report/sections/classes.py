"""Class by class: how often each is found, how often it is rightly named, and what it is taken for."""

import numpy as np

from mtbkd.report.blocks import Block, Figures, FigureView, Section, Table, Words
from mtbkd.report.class_figures import confusion_counts, confusion_matrix
from mtbkd.report.content import FoundTable, ReportContent

MOST = 30  # classes and confusions shown, all of them are in the file
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
    counts, names = confusion_counts(test.probs, test.y), content.class_names
    blocks: list[Block] = []
    confused = Table("confusions", _confusions(counts, names), MOST)
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
    blocks.append(Table("classes", _by_class(counts, names, test.probs[test.y >= 0]), MOST))
    return Section("classes", "Class by class", "Classes", blocks)


def _by_class(counts: np.ndarray, names: tuple[str, ...], probs: np.ndarray) -> FoundTable:
    true, taken, right = counts.sum(1), counts.sum(0), counts.diagonal()
    found, named = _share(right, true), _share(right, taken)
    f1 = _share(2 * right, true + taken)
    rows = [
        (
            names[k],
            f"{true[k]:,}",
            f"{taken[k]:,}",
            f"{probs[:, k].sum():,.1f}",
            *(_percent(value[k]) for value in (found, named)),
            "–" if np.isnan(f1[k]) else f"{f1[k]:.3f}",
        )
        for k in np.argsort(np.where(np.isnan(f1), 2, f1), kind="stable")
    ]
    return FoundTable(
        "Each class",
        "The hardest first. Expected: the sum of the student's probabilities of the class, which should be near the "
        "number of inputs that have it. Recall: share of its inputs that are found; precision: share of what is "
        "called so that is so; F1: their harmonic mean.",
        ("Class", "Inputs", "Called so", "Expected", "Recall", "Precision", "F1"),
        tuple(rows),
    )


def _confusions(counts: np.ndarray, names: tuple[str, ...]) -> FoundTable:
    wrong = counts - np.diag(counts.diagonal())
    order = np.argsort(-wrong, axis=None, kind="stable")[: np.count_nonzero(wrong)]
    true, taken = np.unravel_index(order, counts.shape)
    rows = tuple((names[i], names[j], f"{wrong[i, j]:,}") for i, j in zip(true, taken, strict=True))
    text = "Most frequent first." if rows else "None: every test input is named rightly."
    return FoundTable("What is taken for what", text, ("True class", "Taken for", "Inputs"), rows[:200])


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def _percent(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.1%}"
