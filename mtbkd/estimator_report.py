"""The page of a fitted classifier: the same as a run's, of rows that the user holds out."""

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mtbkd import fitting, registry
from mtbkd.configuration import BaselineConfig, RunConfig, Settings
from mtbkd.data.distillation import Rows
from mtbkd.errors import InputError
from mtbkd.estimator_choices import Choices
from mtbkd.estimator_listening import Lesson, listen_elsewhere
from mtbkd.inference.engine import gives_points
from mtbkd.inference.map import warm_start
from mtbkd.posterior import Posterior
from mtbkd.priors.prior import TeacherPrior
from mtbkd.problem import Problem
from mtbkd.report.page import write_report
from mtbkd.students.student import Student
from mtbkd.summary.findings import Models, find
from mtbkd.summary.log_joint import log_joint_of
from mtbkd.summary.metrics import metrics_of
from mtbkd.summary.page_content import page_content
from mtbkd.teachers import TeachersConfig
from mtbkd.teachers.asking import Shown, teach_and_ask
from mtbkd.teachers.bank import TeacherCost
from mtbkd.teachers.estimator_size import size_of_estimator


@dataclass(frozen=True)
class Fitted:
    """What there is of a fitted classifier.

    parameters: of its constructor; changed: those of them that are not the default; classes: their labels
    teachers: by name, fitted; student: with the teachers, label_only: without
    """

    parameters: Mapping[str, Any]
    changed: Mapping[str, Any]
    classes: Sequence[Any]
    choices: Choices
    teachers: Mapping[str, Any]
    lesson: Lesson
    prior: TeacherPrior
    student: Student
    label_only: Student
    posterior: Posterior


def write(path: Path, fitted: Fitted, shown: Shown, x: torch.Tensor, compare: bool) -> Path:
    """Write the page of the rows `shown`, whose inputs for the student are `x` `[n, D]`; returns the path written.

    compare: whether a student without teachers and one without a posterior are fitted too, to compare with
    Raises `InputError` for rows without any label.
    """
    rows = _test_rows(shown, x)
    if not bool((rows.y >= 0).any()):
        raise InputError("y labels no row; the report needs labelled rows that no teacher was fitted to")
    lesson = fitted.lesson
    warned = [*lesson.warned, *_warn_of_rows_learned(lesson, rows)]
    problem = _problem(fitted, shown, rows)
    models, timing = _models(fitted, compare)
    config = _as_run(fitted)
    findings = find(config, problem, models)
    metrics = metrics_of(problem, models, findings, timing)
    metrics["log_joint"] = log_joint_of(fitted.student, problem.data, models.student)
    content = page_content(config, problem, models, findings, metrics, _python(fitted), warned)
    facts = dict(content.facts)
    if lesson.brought:
        facts["Came fitted"] = (
            f"{', '.join(lesson.brought)}; scores are fair for rows only that these teachers never saw"
        )
    return write_report(path, dataclasses.replace(content, facts=facts))


def check_place(path: Path) -> None:
    """Raise `InputError` where no page can be written, before anything is fitted for it."""
    if path.is_dir():
        raise InputError(
            f"report: '{path}' is a folder; give the path of a file, as '{path / 'report.html'}'"
        )
    if not path.absolute().parent.is_dir():
        raise InputError(f"report: the folder '{path.parent}' does not exist; make it, or choose another")


def _test_rows(shown: Shown, x: torch.Tensor) -> Rows:
    """The rows with what a person sees of them, called by the data frame's index where there is one."""
    rows, own = shown.rows, shown.own
    if not hasattr(own, "columns"):
        return dataclasses.replace(rows, x=x)
    ids = np.array([str(name) for name in own.index]) if hasattr(own, "index") else rows.ids
    values = np.asarray(own)
    raw = values if values.dtype.kind in "biuf" else values.astype(object).astype(str)
    return dataclasses.replace(rows, x=x, ids=ids, raw=raw)


def _names_of(shown: Shown) -> tuple[str, ...] | None:
    return tuple(map(str, shown.own.columns)) if hasattr(shown.own, "columns") else None


def _warn_of_rows_learned(lesson: Lesson, rows: Rows) -> list[str]:
    """Warn where over a tenth of the rows are among those that the classifier was fitted to; what was warned of."""
    learned = {row.tobytes() for row in lesson.data.pool.x.numpy()}
    again = sum(row.tobytes() in learned for row in rows.x.numpy())
    if again <= len(rows) / 10:  # below that, rows that are equal by chance
        return []
    text = (
        f"{again} of {len(rows)} rows of the report are among those that the classifier was fitted to, and flatter it; "
        "give rows that X did not hold"
    )
    warnings.warn(text, stacklevel=4)
    return [text]


def _problem(fitted: Fitted, shown: Shown, rows: Rows) -> Problem:
    """What the classifier was fitted to, and the teachers at the rows of the report."""
    lesson, names = fitted.lesson, fitted.prior.names
    heard = lesson.heard
    assert heard is not None
    _, banks = teach_and_ask(fitted.teachers, {"pool": shown}, np.empty(0), fitted.classes, lesson.seed)
    bank = dataclasses.replace(heard.bank, costs=_costs(fitted.teachers))
    return Problem(
        data=dataclasses.replace(lesson.data, test=rows, feature_names=_names_of(shown)),
        banks={"pool": bank, "test": listen_elsewhere(fitted.choices, heard, banks["pool"])},
        missing={},
        weights=heard.weights,
        prior=fitted.prior,
        hints=fitted.student.hints,
        strength=fitted.parameters["strength"],
        temperatures=dict(zip(names, heard.temperatures.unbind(), strict=True)),
    )


def _costs(teachers: Mapping[str, Any]) -> tuple[TeacherCost, ...]:
    """Parameters and bytes, of scikit-learn's; what one answer takes is not measured here."""
    return tuple(
        TeacherCost(*size_of_estimator(one)) if hasattr(one, "classes_") else TeacherCost(*_size(one))
        for one in teachers.values()
    )


def _size(teacher: Any) -> tuple[int | None, int | None]:
    if isinstance(teacher, torch.nn.Module):
        weights = list(teacher.parameters())
        return sum(w.numel() for w in weights), sum(w.numel() * w.element_size() for w in weights)
    parameters, stored = teacher.size()
    return parameters, stored


def _models(fitted: Fitted, compare: bool) -> tuple[Models, dict[str, float | None]]:
    """The student, and those that it is compared with, with the seconds that each took."""
    data, engine, seed = fitted.lesson.data, fitted.choices.inference, fitted.lesson.seed
    parameters = fitted.parameters

    def fit(student: Student, inference: Any) -> Posterior:
        progress = bool(parameters["verbose"])
        return fitting.fit(
            student, data, inference, seed=seed, device=parameters["device"], progress=progress
        )

    kd = label_only = None
    if compare:
        kd = fitted.posterior if gives_points(engine) else fit(fitted.student, warm_start(engine))
        if bool((data.pool.y >= 0).any()):
            label_only = fit(fitted.label_only, engine)
    models = Models(fitted.posterior, None if kd is None else kd.chains(slice(0, 1)), label_only)
    return models, {f"{name}_s": float(one.meta["seconds"]) for name, one in models.named.items()}


def _as_run(fitted: Fitted) -> RunConfig:
    """The classifier's choices as a run's configuration, for those who tell of runs."""
    parameters, choices = fitted.parameters, fitted.choices
    none = {group: registry.default_config(group, "none") for group in ("augmentation", "tracking")}
    chosen: dict[str, Any] = none | {
        "weighting": choices.weighting,
        "temperature": choices.temperature,
        "prior": choices.prior,
        "features": choices.features,
        "inference": choices.inference,
        "report": registry.default_config("report", "page"),
    }
    methods = {group: type(config).__module__.rpartition(".")[2] for group, config in chosen.items()}
    methods |= {"data": "arrays", "student": "mlp" if parameters["network"] is None else "your network"}
    resolved = {group: {"name": methods[group], **asdict(config)} for group, config in chosen.items()}
    resolved["student"] = {"name": methods["student"], "prior_scale": parameters["prior_scale"]}
    if parameters["network"] is None:
        resolved["student"]["hidden"] = [int(width) for width in parameters["hidden"]]
    settings = Settings(seed=fitted.lesson.seed, device=str(parameters["device"]))
    return RunConfig(
        data=None,
        teachers=TeachersConfig("given"),
        student=None,
        baseline=BaselineConfig(),
        settings=settings,
        methods=methods,
        resolved={**resolved, "teachers": list(fitted.teachers), "seed": settings.seed},
        **chosen,
    )


def _python(fitted: Fitted) -> str:
    """The lines that make the page again."""
    names = ", ".join(fitted.teachers)
    told = [f"teachers=[{names}]", *(f"{key}={value!r}" for key, value in fitted.changed.items())]
    return f"MTBKDClassifier({', '.join(told)}).fit(X, y).report(X_test, y_test, 'report.html')"
