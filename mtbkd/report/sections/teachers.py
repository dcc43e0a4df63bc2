"""Who taught: each teacher's calibration, where they disagree, who was meant to count and who did."""

from collections.abc import Iterator

import numpy as np
import torch

from mtbkd.evaluation.teacher_comparison import compare_teachers
from mtbkd.report import teacher_figures
from mtbkd.report.blocks import Block, Figures, FigureView, Heading, Section, Table, Words
from mtbkd.report.calibration_figures import reliability_curves, reliability_data
from mtbkd.report.content import ReportContent, TeacherVoices
from mtbkd.report.csv_data import stacked

VOICES = (
    "A teacher's weight says how much it was to count at an input before the student had learnt anything. Its "
    "responsibility says how much it counted in the end: which teacher explains what the student believes there. It "
    "is the responsibility that shaped the student."
)
WITHOUT = " Responsibilities are left out: this prior does not have them."
NOBODY = "Left out: the student was fitted without teachers, or their weights were not recorded."


def section(content: ReportContent) -> Section:
    """Figures of weights, answers and sensitivity, and the tables of what a run found of its teachers."""
    blocks: list[Block] = []
    voices = content.voices
    if voices is None:
        blocks.append(Words(NOBODY, "missing"))
    else:
        text = VOICES + (WITHOUT if voices.responsibilities is None else "")
        blocks.append(Figures([_voices(voices)], beside=[Words(text)]))
        found = list(_learned(voices))
        if found:
            blocks += [Heading("How the weights were found"), Figures(found)]
    if answers := [*_answers(content), *_sensitivity(content)]:
        blocks += [Heading("What they say, and what hangs on it"), Figures(answers, tall_first=True)]
    blocks += [Table(f"teachers-{i}", found) for i, found in enumerate(content.teacher_tables, 1)]
    return Section("teachers", "Teachers", "Teachers", blocks)


def _voices(voices: TeacherVoices) -> FigureView:
    def means(shares: np.ndarray) -> str:
        return ", ".join(
            f"{name} {mean:.2f}" for name, mean in zip(voices.names, shares.mean(0), strict=True)
        )

    label = f"Teachers' weights over inputs, means {means(voices.weights)}"
    data = {f"weight {name}": voices.weights[:, m] for m, name in enumerate(voices.names)}
    if voices.responsibilities is not None:
        label += f"; responsibilities, means {means(voices.responsibilities)}"
        data |= {
            f"responsibility {name}": voices.responsibilities[:, m] for m, name in enumerate(voices.names)
        }
    return FigureView(
        "teacher-voices",
        teacher_figures.teacher_voices(voices.names, voices.weights, voices.responsibilities),
        label,
        "Mean (mark), middle half (thick) and middle 90% (thin) over inputs. Dashed: equal shares.",
        data,
    )


def _learned(voices: TeacherVoices) -> Iterator[FigureView]:
    if voices.course is not None and len(voices.course) > 1:
        steps, means = teacher_figures.block_means(voices.course)
        last = ", ".join(f"{name} {w:.2f}" for name, w in zip(voices.names, means[-1], strict=True))
        yield FigureView(
            "weight-course",
            teacher_figures.weight_course(voices.names, voices.course),
            f"Mean weight of each teacher in {len(voices.course)} steps; at the end {last}",
            "The teachers' mean weights while they were learned. Dashed: equal shares.",
            {"step": steps} | {name: means[:, m] for m, name in enumerate(voices.names)},
        )
    if voices.scale is not None:
        yield FigureView(
            "row-scale",
            teacher_figures.row_scale(voices.scale),
            f"Histogram of how loud the teachers are at an input: {voices.scale.min():.2f} to "
            f"{voices.scale.max():.2f}, mean {voices.scale.mean():.2f}",
            "How much all teachers together count at an input, 1 (dashed) being as much as without a scale.",
            {"scale": voices.scale},
        )


def _answers(content: ReportContent) -> Iterator[FigureView]:
    said = {model.name: model.probs for model in content.models if model.role == "teacher"}
    test = content.test
    if test is None or not said:
        return
    if test.scored:
        curves = {name: reliability_data(probs, test.y, repetitions=1) for name, probs in said.items()}
        parts = {
            name: {"confidence": data.confidence, "accuracy": data.accuracy, "inputs": data.count}
            for name, data in curves.items()
        }
        yield FigureView(
            "teacher-reliability",
            reliability_curves(said, test.y),
            f"Reliability of each teacher on test inputs: {', '.join(said)}",
            "Each teacher's accuracy against its confidence; larger marks: more inputs. Above the dashed line it is "
            "too modest, below too sure.",
            stacked(parts, "teacher"),
        )
    if len(said) > 1:
        names = list(said)
        share = compare_teachers(torch.from_numpy(np.stack(list(said.values())))).disagreement
        i, j = (grid.ravel() for grid in np.indices(share.shape))
        most = np.unravel_index(share.argmax(), share.shape)
        yield FigureView(
            "teacher-disagreement",
            teacher_figures.disagreement_matrix(names, share),
            f"Share of test inputs at which two teachers name different classes; the most, {share.max():.1%}, "
            f"{names[most[0]]} and {names[most[1]]}",
            "Share of test inputs that two teachers name differently.",
            {"one": np.asarray(names)[i], "other": np.asarray(names)[j], "share": share.ravel()},
        )


def _sensitivity(content: ReportContent) -> Iterator[FigureView]:
    found = (content.metrics.get("teaching") or {}).get("sensitivity")
    if not found:
        return
    teachers = found["teachers"]
    psens, chance = (
        [np.nan if one[key] is None else one[key] for one in teachers.values()]
        for key in ("psens", "psens_by_chance")
    )
    told = ", ".join(f"{name} {value:.2f}" for name, value in zip(teachers, psens, strict=True))
    yield FigureView(
        "teacher-sensitivity",
        teacher_figures.teacher_sensitivity(list(teachers), psens, chance),
        f"Sensitivity of the student's answer to each teacher: {told}",
        "How much the student's answer changes as a teacher is made a little more or less precise. Grey: what as many "
        "draws show by chance.",
        {"teacher": list(teachers), "sensitivity": psens, "by_chance": chance},
    )
