"""What the fitted models say: each split is predicted once by each, whoever uses the answer."""

from dataclasses import dataclass

import torch

from mtbkd.configuration import RunConfig
from mtbkd.data.distillation import Rows
from mtbkd.evaluation.diagnostics import Diagnostics
from mtbkd.posterior import Posterior
from mtbkd.prediction import Prediction
from mtbkd.prediction_summary import PredictionSummary, summarise
from mtbkd.problem import Problem
from mtbkd.summary.diagnosis import diagnose
from mtbkd.teachers.bank import TeacherBank

SPLITS = ("validation", "test", "ood")


@dataclass(frozen=True)
class Models:
    """The students of a run; None: not fitted."""

    student: Posterior
    kd: Posterior | None = None
    label_only: Posterior | None = None

    @property
    def named(self) -> dict[str, Posterior]:
        """Those there are, by their name in metrics.json."""
        found = {"student": self.student, "kd_student": self.kd, "label_only_student": self.label_only}
        return {name: posterior for name, posterior in found.items() if posterior is not None}


@dataclass(frozen=True)
class Findings:
    """Answers of all models.

    students: `{model: {split: summary}}`; teachers: `{split: {teacher: summary}}`; of validation, test and ood those
        that have rows
    rows: the few held-out inputs that chains are compared by; held_out: the Bayesian student's draws there
    diagnostics: whether its engine converged
    """

    students: dict[str, dict[str, PredictionSummary]]
    teachers: dict[str, dict[str, PredictionSummary]]
    rows: Rows
    held_out: Prediction
    diagnostics: Diagnostics

    @property
    def several(self) -> bool:
        """Whether the Bayesian student has more than one draw, and so epistemic uncertainty."""
        return self.held_out.num_draws > 1


def find(config: RunConfig, problem: Problem, models: Models) -> Findings:
    """Ask every model about the validation, the test and the out-of-distribution inputs."""
    data = problem.data
    asked = {name: rows for name, rows in data.splits.items() if name in SPLITS}
    students = {
        name: {split: summarise(posterior, rows.x, data.num_classes) for split, rows in asked.items()}
        for name, posterior in models.named.items()
    }
    teachers = {split: of_teachers(problem.banks[split]) for split in asked if split in problem.banks}
    rows = data.test if len(data.test) else data.pool
    rows = rows.take(torch.arange(min(config.report.held_out, len(rows))))
    held_out = models.student.predict(rows.x)
    return Findings(students, teachers, rows, held_out, diagnose(models.student, held_out))


def of_teachers(bank: TeacherBank) -> dict[str, PredictionSummary]:
    """What each teacher of a bank says, 1 / K of each class that it does not know."""
    draws = {name: bank.completed_draws(m) for m, name in enumerate(bank.names)}
    return {name: PredictionSummary.of(Prediction(probs)) for name, probs in draws.items()}
