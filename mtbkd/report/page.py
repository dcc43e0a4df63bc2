"""The report: one HTML page that holds everything it needs and asks no network for anything."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from mtbkd.draw_statistics import rhat
from mtbkd.errors import require_at_least
from mtbkd.evaluation import calibration
from mtbkd.report import figures, inputs, trace_figures
from mtbkd.report.content import Opinion, ReportContent, UnsureInput
from mtbkd.report.svg import inline_svg
from mtbkd.report.tables import html_table, model_rows, student_of
from mtbkd.report.verdict import answer

TOP_CLASSES = 3  # of the student, at an input it is unsure of
WORDS = {
    "rhat": "R-hat",
    "ess": "ESS",
    "khat": "k-hat",
    "bfmi": "E-BFMI",
    "probs": "probabilities",
    "num": "number of",
    "s": "seconds",
}


@dataclass(frozen=True)
class PageConfig:
    """least_sure: test inputs shown that the student is least sure of; held_out: test inputs whose predictive
    probabilities are compared between chains."""

    name: str = "page"
    least_sure: int = 12
    held_out: int = 16

    def __post_init__(self) -> None:
        require_at_least(0, least_sure=self.least_sure)
        require_at_least(1, held_out=self.held_out)


@dataclass(frozen=True)
class FigureView:
    """A figure on the page: its SVG and what to see in it."""

    svg: Markup
    caption: str


@dataclass(frozen=True)
class BarView:
    """One class in one model's opinion; all numbers are probabilities."""

    model: str
    label: str
    p: float
    low: float | None
    high: float | None
    right: bool


def write_report(path: Path | str, content: ReportContent) -> Path:
    """Write the report as one self-contained HTML file; an existing one is replaced whole, never half.

    returns: the path written
    """
    target = Path(path)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(render(content))
        os.chmod(name, 0o644)  # a temporary file is private; a report is not
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return target


def render(content: ReportContent) -> str:
    """The report's HTML."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mtbkd.report", package_path="."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    ids = (f"fig{i}" for i in count(1))
    return environment.get_template("template.html.j2").render(
        content=content,
        answer=answer(content),
        called=student_of(content.metrics),
        table=html_table(content.metrics),
        comparison=list(_comparison(content, ids)),
        calibration=list(_calibration(content, ids)),
        uncertainty=list(_uncertainty(content, ids)),
        teachers=list(_teachers(content, ids)),
        inference=list(_inference(content, ids)),
        diagnostic_numbers=_numbers(content.diagnostics.numbers if content.diagnostics else {}),
        unsure=[_unsure(content, item) for item in content.least_sure or ()],
        timing=_numbers(content.metrics.get("timing") or {}),
        versions=content.metrics.get("versions") or {},
    )


def _comparison(content: ReportContent, ids: Iterator[str]) -> Iterator[FigureView]:
    rows = model_rows(content.metrics)
    captions = {
        "accuracy": ("Accuracy", "Further right is better. Filled: students; hollow: teachers."),
        "nll": ("Negative log-likelihood", "Further left is better: honest and sharp at once."),
        "brier": ("Brier score", "Further left is better; 0 is certain and right."),
        "ece": ("Calibration error (ECE)", "Grey: where 95% of perfectly calibrated models would fall."),
    }
    for column, (title, caption) in captions.items():
        if sum(row.metrics.get(column) is not None for row in rows) > 1:
            figure = figures.model_dots(rows, column, title)
            told = "; ".join(
                f"{r.name} {r.metrics[column]:.3f}" for r in rows if r.metrics.get(column) is not None
            )
            yield FigureView(inline_svg(figure, f"{title} of every model: {told}", next(ids)), caption)


def _calibration(content: ReportContent, ids: Iterator[str]) -> Iterator[FigureView]:
    if content.test is None or not (content.test.y >= 0).any():
        return
    known = content.test.y >= 0
    # A fixed seed: the page of a run is the same whenever it is drawn.
    data = calibration.reliability(content.test.probs[known], content.test.y[known], np.random.default_rng(0))
    svg = inline_svg(
        figures.reliability_diagram(data),
        f"Reliability diagram of the {student_of(content.metrics)} on {known.sum()} test inputs",
        next(ids),
    )
    caption = (
        "Right as often as it claims: points on the dashed line. Above it the student is too modest, below it "
        "too sure. Blue blocks: where 95% of a perfectly calibrated student's points would be. "
        "Bars: inputs in each bin."
    )
    yield FigureView(svg, caption)


def _uncertainty(content: ReportContent, ids: Iterator[str]) -> Iterator[FigureView]:
    captions = {
        "total": "Total uncertainty, the entropy of the mean prediction: 0 is certain.",
        "epistemic": "Epistemic uncertainty, what the draws disagree about: large where the student has not learnt.",
    }
    for kind, caption in captions.items():
        inside = getattr(content.test, kind, None)
        outside = getattr(content.ood, kind, None)
        if inside is not None and len(inside):
            name = content.ood.name if content.ood else ""
            figure = figures.uncertainty_histogram(inside, outside, kind, name)
            against = f" and on {name}" if outside is not None else ""
            label = f"Histogram of the {kind} uncertainty on test inputs{against}"
            yield FigureView(inline_svg(figure, label, next(ids)), caption)


def _teachers(content: ReportContent, ids: Iterator[str]) -> Iterator[FigureView]:
    voices = content.voices
    if voices is None:
        return
    means = ", ".join(f"{n} {w:.2f}" for n, w in zip(voices.names, voices.weights.mean(0), strict=True))
    label = f"Teachers' weights over inputs, means {means}"
    if voices.responsibilities is not None:
        after = ", ".join(
            f"{n} {r:.2f}" for n, r in zip(voices.names, voices.responsibilities.mean(0), strict=True)
        )
        label += f"; responsibilities, means {after}"
    figure = figures.teacher_voices(voices.names, voices.weights, voices.responsibilities)
    caption = "Mean (mark), middle half (thick) and middle 90% (thin) over inputs. Dashed: equal shares."
    yield FigureView(inline_svg(figure, label, next(ids)), caption)


def _inference(content: ReportContent, ids: Iterator[str]) -> Iterator[FigureView]:
    if content.traces is not None:
        traces = content.traces
        shown = [("log density", traces.log_density, "The log density")]
        worst = rhat(traces.probs)
        if np.isfinite(worst).any():
            q = int(np.nanargmax(worst))
            shown.append(
                (f"p, {traces.labels[q]}", traces.probs[..., q], f"The slowest of {len(worst)} probabilities")
            )
        for label, values, what in shown:
            trace = trace_figures.chain_trace(values, figures.readable(label, 40))
            caption = f"{what} along each chain, a colour a chain. Chains that mix are one fuzzy band."
            yield FigureView(inline_svg(trace, f"Trace of {label} by chain", next(ids)), caption)
            ranks = trace_figures.chain_ranks(values, figures.readable(label, 40))
            caption = "Its ranks among all draws, by chain. Chains that mix are all flat, at the dashed line."
            yield FigureView(inline_svg(ranks, f"Rank histograms of {label} by chain", next(ids)), caption)
        if traces.energy is not None:
            figure = trace_figures.energy_spread(traces.energy)
            caption = (
                "Energies of all iterations, and what one new momentum changes them by. "
                "Where the changes are much narrower, the tails are visited seldom."
            )
            yield FigureView(inline_svg(figure, "Energies and their changes", next(ids)), caption)
    if content.losses is not None and len(content.losses):
        svg = inline_svg(trace_figures.loss_trace(content.losses), "Loss a step", next(ids))
        yield FigureView(svg, "The loss a step (pale) and its running mean. It should have become level.")


def _unsure(content: ReportContent, item: UnsureInput) -> dict[str, Any]:
    if isinstance(item.value, str):
        shown = inputs.sequence(item.value)
    elif item.value.ndim > 1:  # a picture, also where a network is shown its pixels as a vector
        shown = inputs.picture(item.value, f"input {item.id}")
    else:
        shown = inputs.values(item.value, content.feature_names)
    student = [_bar(content, item, item.student, k) for k in np.argsort(-item.student.probs)[:TOP_CLASSES]]
    teachers = [_bar(content, item, opinion, int(opinion.probs.argmax())) for opinion in item.teachers]
    truth = None if item.truth is None else content.class_names[item.truth]
    return {"item": item, "shown": shown, "truth": truth, "student": student, "teachers": teachers}


def _bar(content: ReportContent, item: UnsureInput, opinion: Opinion, k: int) -> BarView:
    return BarView(
        model=opinion.name,
        label=content.class_names[k],
        p=float(opinion.probs[k]),
        low=None if opinion.lower is None else float(opinion.lower[k]),
        high=None if opinion.upper is None else float(opinion.upper[k]),
        right=k == item.truth,
    )


def _numbers(numbers: Mapping[str, Any]) -> dict[str, str]:
    named = {" ".join(WORDS.get(word, word) for word in name.split("_")): v for name, v in numbers.items()}
    return {name: _number(value) for name, value in named.items() if value is not None}


def _number(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
