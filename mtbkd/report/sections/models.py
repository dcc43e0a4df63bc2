"""Every model of the run side by side: the table that opens the page, and its scores as dots."""

from collections.abc import Iterator

from mtbkd.report.blocks import Block, Bullets, Figures, FigureView, Heading, Html, Section, Words
from mtbkd.report.content import ReportContent
from mtbkd.report.model_figures import model_dots
from mtbkd.report.tables import html_table, model_rows
from mtbkd.report.verdict import answer

CAPTIONS = {
    "accuracy": (
        "Accuracy",
        "Further right is better. Filled: students; hollow: teachers. Lines: 95% intervals.",
    ),
    "nll": (
        "Negative log-likelihood",
        "Further left is better: honest and sharp at once. Lines: 95% intervals.",
    ),
    "brier": ("Brier score", "Further left is better; 0 is certain and right."),
    "ece": ("Calibration error (ECE)", "Grey: where 95% of perfectly calibrated models would fall."),
}
NOTE = (
    "Small: 95% intervals over test inputs: of the accuracy Wilson's, of the NLL Student's t, of the ECE a bootstrap. "
    "NLL in nats per input. Brier summed over classes, 0 to 2. ECE with 15 equal bins. Parameters: weights of one "
    "draw; stored: all draws. Latency: median for one input, with all draws. – undefined."
)


def section(content: ReportContent) -> Section:
    """Table, what the run found in sentences, dots."""
    found = [(finding.text, finding.tone) for finding in answer(content).findings]
    warned = [(f"The run warned: {warning}", "bad") for warning in content.warnings]
    blocks: list[Block] = [Html(html_table(content.metrics)), Words(NOTE, "note")]
    if found or warned:
        blocks += [Heading("What this run found"), Bullets(found + warned)]
    dots = list(_dots(content))
    if dots:
        blocks += [Heading("Side by side"), Figures(dots)]
    return Section("models", "Students and teachers", "Models", blocks)


def _dots(content: ReportContent) -> Iterator[FigureView]:
    rows = model_rows(content.metrics)
    for column, (title, caption) in CAPTIONS.items():
        known = [row for row in rows if row.metrics.get(column) is not None]
        if len(known) < 2:
            continue
        told = "; ".join(f"{row.name} {row.metrics[column]:.3f}" for row in known)
        ends = {
            f"{column}_{end}": [row.metrics.get(f"{column}_{end}") for row in known]
            for end in ("low", "high", "band_low", "band_high")
            if any(row.metrics.get(f"{column}_{end}") is not None for row in known)
        }
        yield FigureView(
            f"models-{column}",
            model_dots(rows, column, title),
            f"{title} of every model: {told}",
            caption,
            {"model": [row.name for row in known], column: [row.metrics[column] for row in known]} | ends,
        )
