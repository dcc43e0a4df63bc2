"""What a report is made of: plain data that a run fills in. None means: not there, and the page says why."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mtbkd.evaluation.diagnostics import Diagnostics
from mtbkd.report.tables import Role


@dataclass(frozen=True)
class TestPredictions:
    """The student on the test inputs.

    probs: `[N, K]` mean over draws; y: `[N]`, -1 where unlabelled
    total: `[N]` nats; epistemic: `[N]` nats, None for a point estimate
    """

    __test__ = False  # not a test, whatever pytest thinks of its name

    probs: np.ndarray
    y: np.ndarray
    total: np.ndarray
    epistemic: np.ndarray | None = None

    @property
    def scored(self) -> bool:
        """Whether any label is known."""
        return bool((self.y >= 0).any())


@dataclass(frozen=True)
class TestedModel:
    """Another model on the same test inputs.

    name: as in the table of models; probs: `[N, K]`
    """

    __test__ = False

    name: str
    role: Role
    probs: np.ndarray


@dataclass(frozen=True)
class OutOfDistribution:
    """The student on inputs from elsewhere.

    name: what they are; total, epistemic: `[N]` nats; scores: of `evaluation.uncertainty.ood_scores`
    """

    name: str
    total: np.ndarray
    epistemic: np.ndarray | None
    scores: Mapping[str, Mapping[str, float] | None]


@dataclass(frozen=True)
class TeacherVoices:
    """Who was meant to teach and who taught.

    names: M teachers; weights: `[N, M]` before; responsibilities: `[N, M]` under the fitted student
    course: `[T, M]` mean weights of each step, of rules that learn them; scale: `[N]` how loud all are together at each
        input, of rules that find one
    """

    names: tuple[str, ...]
    weights: np.ndarray
    responsibilities: np.ndarray | None = None
    course: np.ndarray | None = None
    scale: np.ndarray | None = None


@dataclass(frozen=True)
class FoundTable:
    """A small table of what a run found of its teachers.

    title; text: how to read it, one or two sentences; columns: headings, the first of the rows' names
    rows: cells as shown
    """

    title: str
    text: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class ChainTraces:
    """Chains in function space.

    log_density: `[C, S]`; probs: `[C, S, Q]` held-out probabilities; labels: what each of the Q is
    energy: `[C, S]` of successive iterations, None where the engine has none
    """

    log_density: np.ndarray
    probs: np.ndarray
    labels: tuple[str, ...]
    energy: np.ndarray | None = None


@dataclass(frozen=True)
class Opinion:
    """What a model says of one input.

    probs: `[K]`; lower, upper: `[K]` bounds of a 90 % credible interval, None for a point estimate
    """

    name: str
    probs: np.ndarray
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None


@dataclass(frozen=True)
class UnsureInput:
    """An input that the student is unsure of.

    value: as people look at it: an image `[H, W]`, `[H, W, 3]` or `[3, H, W]`, a vector, or a sequence (str)
    truth: its class index, None where unknown
    total, epistemic: the student's uncertainties in nats
    """

    id: str
    value: np.ndarray | str
    student: Opinion
    teachers: tuple[Opinion, ...]
    total: float
    epistemic: float | None = None
    truth: int | None = None


@dataclass(frozen=True)
class ReportContent:
    """Everything on the page.

    metrics: as in metrics.json (student, teachers, teacher_ensemble, label_only_student, kd_student, timing,
        versions); command: what makes the run again; config: resolved configuration as YAML
    facts: what was run, name by value, in the order to be read (data, labels, engine, prior, ...)
    models: the others on the test inputs: teachers, their ensemble, students that it is compared with
    teacher_tables: what was found of the teachers
    validation_uses: what validation labels were used for before the student was judged by them, `to ...` each
    losses: `[T]` a step, of optimised engines; feature_names: of vectors
    warnings: what the run warned of
    """

    title: str
    metrics: Mapping[str, Any]
    class_names: tuple[str, ...]
    command: str
    config: str
    facts: Mapping[str, str] = field(default_factory=dict)
    feature_names: tuple[str, ...] | None = None
    test: TestPredictions | None = None
    models: tuple[TestedModel, ...] = ()
    ood: OutOfDistribution | None = None
    voices: TeacherVoices | None = None
    teacher_tables: tuple[FoundTable, ...] = ()
    validation_uses: tuple[str, ...] = ()
    diagnostics: Diagnostics | None = None
    traces: ChainTraces | None = None
    losses: np.ndarray | None = None
    least_sure: tuple[UnsureInput, ...] | None = None
    warnings: tuple[str, ...] = ()
    created: str | None = None
