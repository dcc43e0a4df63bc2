"""The answer first: what a run showed, in sentences that its numbers carry."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mtbkd.report.content import ReportContent
from mtbkd.report.gains import gain
from mtbkd.report.lead import calibration_verdict, lead
from mtbkd.report.tables import Role, human_bytes, shown, student_of

Tone = Literal["good", "plain", "bad"]
Metrics = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """One sentence and whether it is good news."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Tile:
    """One number to be seen first: what it is, its value, what to compare it with."""

    label: str
    value: str
    note: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Answer:
    """The opening of a report: what it shows in one line, in two sentences, in numbers; then finding by finding."""

    headline: str
    lead: list[str]
    tiles: list[Tile]
    findings: list[Finding]


def answer(content: ReportContent) -> Answer:
    """What the run showed, from its metrics, out-of-distribution scores and diagnostics."""
    findings = [
        *_accuracy(content.metrics),
        *_gain(content, "label_only", "the same student without teachers"),
        *_gain(content, "kd", "plain distillation"),
        *_calibration(content.metrics.get("student") or {}),
        *_ood(content),
        *_size(content.metrics),
        *_inference(content),
    ]
    return Answer(_headline(content), list(lead(content)), list(_tiles(content)), findings)


def _headline(content: ReportContent) -> str:
    student = content.metrics.get("student") or {}
    if student.get("accuracy") is None:
        return "The student was not scored: there is no labelled test input"
    right = f"The student is right on {student['accuracy']:.1%} of test inputs"
    trust = {
        "calibrated": ", and its probabilities can be taken at their word",
        "unrefuted": f"; no miscalibration shows in {student.get('n') or 0:,} test inputs",
        "overconfident": ", but it is overconfident",
        "underconfident": ", but it is underconfident",
        "miscalibrated": ", but its probabilities are off in both directions",
        "untested": "; so few inputs do not tell whether its probabilities can be trusted",
        "unknown": "",
    }[calibration_verdict(student)]
    if content.diagnostics and content.diagnostics.verdict == "not converged":
        return right + trust + "; inference has not converged, so take this with caution"
    return right + trust


def _tiles(content: ReportContent) -> Iterator[Tile]:
    student = content.metrics.get("student") or {}
    alone = content.metrics.get("label_only_student") or {}
    beside = f"{alone['accuracy']:.1%} without teachers" if alone.get("accuracy") is not None else ""
    yield Tile("Accuracy", shown("accuracy", student), beside)
    beside = f"{alone['nll']:.3f} without teachers" if alone.get("nll") is not None else "nats per input"
    yield Tile("NLL", shown("nll", student), beside)
    if student.get("ece_band_high") is not None:
        tones: dict[str, Tone] = {"calibrated": "good", "unrefuted": "plain", "untested": "plain"}
        note = f"chance allows up to {student['ece_band_high']:.3f}"
        yield Tile(
            "Calibration error", shown("ece", student), note, tones.get(calibration_verdict(student), "bad")
        )
    if content.ood:
        auroc = _auroc(content)["total"]
        yield Tile("Outsiders told apart", f"{auroc:.3f}", "AUROC by total uncertainty")
    if content.diagnostics:
        tones = {"converged": "good", "not converged": "bad", "doubtful": "bad"}
        tone = tones.get(content.diagnostics.verdict, "plain")
        yield Tile("Inference", content.diagnostics.verdict, "see Inference below", tone)


def _auroc(content: ReportContent) -> dict[str, float]:
    scores = content.ood.scores if content.ood else {}
    return {name: found["auroc"] for name, found in scores.items() if found is not None}


def _accuracy(metrics: Metrics) -> Iterator[Finding]:
    student, ensemble = metrics.get("student") or {}, metrics.get("teacher_ensemble") or {}
    if student.get("accuracy") is None:
        return
    n = f"{student['n']:,} " if student.get("n") else ""
    text = f"On {n}test inputs the {student_of(metrics)} is right on {student['accuracy']:.1%}"
    if ensemble.get("accuracy") is not None:
        text += f", its teachers together on {ensemble['accuracy']:.1%}"
    yield Finding(text + ".")


def _gain(content: ReportContent, role: Role, called: str) -> Iterator[Finding]:
    other = next((model for model in content.models if model.role == role), None)
    found = None if content.test is None or other is None else gain(content.test, other)
    if found is None:
        return
    points = found.accuracy
    text = f"Against {called}: {100 * points.mean:+.1f} points of accuracy"
    if not math.isnan(points.half):
        text += f" ({100 * points.low:+.1f} to {100 * points.high:+.1f})"
    if found.nll is not None:
        text += f", NLL {found.nll.mean:+.3f}"
        if not math.isnan(found.nll.half):
            text += f" ({found.nll.low:+.3f} to {found.nll.high:+.3f})"
    text = text.replace("-", "−")  # a minus, which no line is broken behind
    judged = [one for one in (points, found.nll) if one is not None and one.excludes_zero]
    better = [one.mean > 0 if one is points else one.mean < 0 for one in judged]
    if not judged:
        yield Finding(f"{text}: {points.count:,} test inputs cannot tell the two apart.")
    else:
        yield Finding(f"{text}.", "good" if all(better) else "bad" if not any(better) else "plain")


def _calibration(student: Metrics) -> Iterator[Finding]:
    tone = calibration_verdict(student)
    if tone == "unknown":
        return
    ece, low, high = student["ece"], student["ece_band_low"], student["ece_band_high"]
    band = f"a perfectly calibrated student would show {low:.3f} to {high:.3f} here by chance"
    if tone in ("calibrated", "unrefuted", "untested"):
        good: Tone = "good" if tone == "calibrated" else "plain"
        text = f"Its calibration error of {ece:.3f} is no more than chance: {band}"
        if tone != "calibrated" and student.get("ece_high") is not None:
            text += f"; the true error may be up to {student['ece_high']:.3f}"
        yield Finding(f"{text}.", good)
    else:
        claimed = (
            f"it claims {student['confidence']:.1%} on average and is right on {student['accuracy']:.1%}"
        )
        called = "miscalibrated in both directions" if tone == "miscalibrated" else tone
        yield Finding(f"It is {called}: {claimed}; ECE {ece:.3f}, where {band}.", "bad")


def _ood(content: ReportContent) -> Iterator[Finding]:
    if content.ood:
        auroc = _auroc(content)
        # judged by the total, which every student has: the better of two would be chosen on the test
        quality = "well" if auroc["total"] > 0.9 else "somewhat" if auroc["total"] > 0.7 else "hardly"
        told_by = [name for name in ("total", "epistemic") if name in auroc]
        told = " and ".join(f"{auroc[name]:.3f} by {name} uncertainty" for name in told_by)
        tones: dict[str, Tone] = {"well": "good", "somewhat": "plain", "hardly": "bad"}
        yield Finding(
            f"Inputs from elsewhere ({content.ood.name}) are told apart {quality}: AUROC {told}; guessing has 0.5.",
            tones[quality],
        )


def _size(metrics: Metrics) -> Iterator[Finding]:
    student, drawn = metrics.get("student") or {}, student_of(metrics)
    if student.get("parameters") is None:
        return
    text = f"It has {student['parameters']:,} weights"
    if student.get("stored_bytes") is not None:
        whole = {"student": "", "ensemble of students": " with all members"}.get(
            drawn, " with all posterior draws"
        )
        text += f", {human_bytes(student['stored_bytes'])}{whole}"
    if student.get("latency_ms") is not None:
        text += f", and answers one input in {shown('latency_ms', student)} ms"
    yield Finding(text + ".")


def _inference(content: ReportContent) -> Iterator[Finding]:
    if content.diagnostics and content.diagnostics.words:
        tones: dict[str, Tone] = {"converged": "good", "not converged": "bad", "doubtful": "bad"}
        verdict = content.diagnostics.verdict
        said = f"Inference: {verdict}. " if verdict != "not applicable" else ""
        yield Finding(said + content.diagnostics.words[0], tones.get(verdict, "plain"))
