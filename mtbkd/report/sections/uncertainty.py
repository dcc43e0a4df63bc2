"""How unsure the student is of test inputs and of inputs from elsewhere, split by what kind of not knowing it is."""

from collections.abc import Iterator, Mapping

import numpy as np

from mtbkd.report.blocks import Block, Figures, FigureView, Section, Table, Words
from mtbkd.report.content import FoundTable, ReportContent
from mtbkd.report.csv_data import stacked
from mtbkd.report.uncertainty_figures import uncertainty_histogram

CAPTIONS = {
    "total": "Total uncertainty, the entropy of the mean prediction: 0 is certain.",
    "epistemic": "Epistemic uncertainty, what the draws disagree about: large where the student has not learnt.",
}
BY = {"max_probability": "1 − largest probability"}


def section(content: ReportContent) -> Section:
    """Histograms of the uncertainties, and how well they tell inputs from elsewhere."""
    blocks: list[Block] = []
    views = list(_histograms(content))
    if not views:
        blocks.append(Words("Left out: the run made no test predictions.", "missing"))
    else:
        blocks.append(Figures(views))
        if content.test is not None and content.test.epistemic is None:
            blocks.append(
                Words(
                    "Epistemic uncertainty left out: one point estimate has no draws that could disagree.",
                    "missing",
                )
            )
    if content.ood is None:
        blocks.append(
            Words("Out-of-distribution scores left out: the data has no inputs from elsewhere.", "missing")
        )
    else:
        blocks.append(Table("out-of-distribution", _told_apart(content)))
    if truth := content.metrics["student"].get("truth"):
        blocks.append(Table("known-truth", _against_truth(truth)))
    return Section("uncertainty", "Uncertainty", "Uncertainty", blocks)


def _against_truth(found: Mapping[str, float]) -> FoundTable:
    masses = [name.removeprefix("coverage_") for name in found if name.startswith("coverage_")]
    rows = tuple(
        (f"{mass}%", f"{found[f'coverage_{mass}']:.1%}", f"{found[f'width_{mass}']:.3f}") for mass in masses
    )
    return FoundTable(
        "Against probabilities that are known",
        "The data tells the probabilities that its test labels were drawn from: the student's are "
        f"{found['error']:.4f} from them, in the mean over inputs and classes. A central credible interval should hold "
        "the true probability as often as it says, in the mean over data sets: inputs of one data set miss together, "
        "so look at several seeds.",
        ("Interval", "Holds the truth", "Mean width"),
        rows,
    )


def _histograms(content: ReportContent) -> Iterator[FigureView]:
    for kind, caption in CAPTIONS.items():
        inside = getattr(content.test, kind, None)
        outside = getattr(content.ood, kind, None)
        if inside is None or not len(inside):
            continue
        name = content.ood.name if content.ood else ""
        against = f" and on {name}" if outside is not None else ""
        parts = {"test": {f"{kind}_nats": np.asarray(inside)}}
        if outside is not None:
            parts[name] = {f"{kind}_nats": np.asarray(outside)}
        yield FigureView(
            f"uncertainty-{kind}",
            uncertainty_histogram(inside, outside, kind, name),
            f"Histogram of the {kind} uncertainty on test inputs{against}",
            caption,
            stacked(parts, "inputs"),
        )


def _told_apart(content: ReportContent) -> FoundTable:
    assert content.ood is not None
    rows = tuple(
        (
            BY.get(name, f"{name} uncertainty"),
            f"{said['auroc']:.3f}",
            f"{said['aupr']:.3f}",
            f"{said['fpr95']:.1%}",
        )
        for name, said in content.ood.scores.items()
        if said
    )
    return FoundTable(
        f"Telling inputs from elsewhere apart: {content.ood.name}",
        "Outsiders are the positive class. False alarms: share of test inputs flagged when 95% of the outsiders are.",
        ("By", "AUROC", "AUPR", "False alarms"),
        rows,
    )
