"""The answer in two sentences: is it calibrated and did the chains agree, and which teachers mattered."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from mtbkd.report.content import ReportContent, TeacherVoices
from mtbkd.report.tables import student_of

FEW = 0.15  # the ECE that chance alone gives a calibrated model, from which test inputs are too few to judge by it
SMALL = 0.05  # the ECE that a student may have and still be called calibrated: its interval must end below
ERRORS = 2.0  # standard errors of the accuracy, beyond which the mean confidence is too high or too low
COUNTS = 0.05  # power-scaling sensitivity beyond chance, from which it counts
# What became of inference where it converged, is doubtful, did not converge; by the kind of engine.
CHAINS = ("its chains agree", "whether its chains agree is in doubt", "its chains do not agree")
TOLD = {
    "exact": CHAINS,
    "stochastic gradient": CHAINS,
    "variational": (
        "its ELBO has settled",
        "whether its ELBO has settled is in doubt",
        "its ELBO has not settled",
    ),
}
ANY = ("inference converged", "whether inference converged is in doubt", "inference did not converge")
WITHOUT = {
    "point": "it is one mode, without chains that could agree",
    "ensemble": "its members are modes, which are not meant to agree",
    "laplace": "it is a normal at the mode, without chains that could agree",
}


Calibration = Literal[
    "calibrated", "unrefuted", "untested", "overconfident", "underconfident", "miscalibrated", "unknown"
]


def calibration_verdict(student: Mapping[str, Any]) -> Calibration:
    """What the ECE says, against the band that chance gives a calibrated model and its own interval.

    calibrated: within the band, and its interval ends at `SMALL` or below; unrefuted: within the band alone, which does
    not confirm it; untested: so few inputs that they would hide anything. Beyond the band it is over- or
    underconfident where the mean confidence is more than `ERRORS` standard errors from the accuracy, else
    miscalibrated, in both directions.
    """
    ece, high = student.get("ece"), student.get("ece_band_high")
    if ece is None or high is None:
        return "unknown"
    if ece <= high:
        largest = student.get("ece_high")
        confirmed = largest is not None and largest <= SMALL
        return "untested" if high > FEW else "calibrated" if confirmed else "unrefuted"
    accuracy, confidence, n = (student.get(key) for key in ("accuracy", "confidence", "n"))
    if accuracy is None or confidence is None or not n:
        return "miscalibrated"
    if abs(confidence - accuracy) <= ERRORS * math.sqrt(accuracy * (1 - accuracy) / n):
        return "miscalibrated"
    return "overconfident" if confidence > accuracy else "underconfident"


def lead(content: ReportContent) -> Iterator[str]:
    """Two sentences: whether it is calibrated and inference agreed, which teachers mattered; fewer where not known."""
    parts = [part for part in (_calibrated_in_short(content), _inferred_in_short(content)) if part]
    if parts:
        good = calibration_verdict(content.metrics.get("student") or {}) in (
            "calibrated",
            "unrefuted",
            "untested",
            "unknown",
        )
        sound = content.diagnostics is None or content.diagnostics.verdict in ("converged", "not applicable")
        first = (", and " if good == sound else ", but ").join(parts)
        yield first[0].upper() + first[1:] + "."
    if content.voices is not None:
        yield _teachers_in_short(content, content.voices)


def _calibrated_in_short(content: ReportContent) -> str:
    student = content.metrics.get("student") or {}
    verdict = calibration_verdict(student)
    if verdict == "unknown":
        return ""
    low, high = student["ece_band_low"], student["ece_band_high"]
    if verdict == "untested":
        return (
            f"{student.get('n', 0):,} test inputs are too few to tell whether the {student_of(content.metrics)} is "
            f"calibrated (ECE {student['ece']:.3f}; chance alone gives {low:.3f} to {high:.3f})"
        )
    if verdict == "calibrated":
        return (
            f"the {student_of(content.metrics)} is calibrated as far as {student.get('n', 0):,} test inputs can tell "
            f"(ECE {student['ece']:.3f}; chance alone gives {low:.3f} to {high:.3f})"
        )
    if verdict == "unrefuted":
        return (
            f"no miscalibration of the {student_of(content.metrics)} shows in {student.get('n', 0):,} test inputs "
            f"(ECE {student['ece']:.3f}; chance alone gives {low:.3f} to {high:.3f})"
        )
    called = "miscalibrated in both directions" if verdict == "miscalibrated" else verdict
    return (
        f"the {student_of(content.metrics)} is {called} "
        f"(ECE {student['ece']:.3f}; chance alone gives at most {high:.3f})"
    )


def _inferred_in_short(content: ReportContent) -> str:
    found = content.diagnostics
    if found is None:
        return ""
    kind = found.kind or (content.metrics.get("diagnostics") or {}).get("kind")
    if found.verdict == "not applicable":
        return WITHOUT.get(kind or "", "")
    return TOLD.get(kind or "", ANY)[("converged", "doubtful", "not converged").index(found.verdict)]


def _teachers_in_short(content: ReportContent, voices: TeacherVoices) -> str:
    names = voices.names
    if len(names) == 1:
        return f"Its one teacher is {names[0]}."
    shares = voices.weights if voices.responsibilities is None else voices.responsibilities
    what = "weight" if voices.responsibilities is None else "responsibility for what it believes"
    mean = shares.mean(0)
    most, least = int(mean.argmax()), int(mean.argmin())
    said = (
        f"Of its {len(names)} teachers, {names[most]} mattered most, with {mean[most]:.0%} of the {what}, "
        f"{names[least]} least, with {mean[least]:.0%}"
    )
    found = ((content.metrics.get("teaching") or {}).get("sensitivity") or {}).get("teachers") or {}
    counts = [name for name, one in found.items() if (one["psens_beyond_chance"] or 0) > COUNTS]
    known = bool(found) and all(one["psens_beyond_chance"] is not None for one in found.values())
    if not counts and not known:
        return said + "."
    if not counts:
        return f"{said}; its answers hang on no single one of them."
    named = counts[0] if len(counts) == 1 else f"{', '.join(counts[:-1])} and {counts[-1]}"
    return f"{said}; its answers hang on the precision of {'all of them' if len(counts) == len(names) else named}."
