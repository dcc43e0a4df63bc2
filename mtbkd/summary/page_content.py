"""From what a run found to what its page shows."""

import datetime
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf
from torch import Tensor

from mtbkd.configuration import RunConfig
from mtbkd.posterior import Posterior
from mtbkd.problem import Problem
from mtbkd.report.content import (
    ChainTraces,
    Opinion,
    OutOfDistribution,
    ReportContent,
    TeacherVoices,
    TestedModel,
    TestPredictions,
    UnsureInput,
)
from mtbkd.report.tables import NAMES, Role, counted, human_bytes, student_called
from mtbkd.rules import asks_held_out
from mtbkd.summary.diagnosis import successive_energies
from mtbkd.summary.findings import Findings, Models
from mtbkd.summary.log_joint import log_joint_tables
from mtbkd.summary.metrics import Metrics
from mtbkd.summary.teaching import teaching_tables

# Draws that responsibilities are averaged over: their mean moves by less than a percent beyond.
VOICE_DRAWS = 50
VOICE_ROWS = 2048


def page_content(
    config: RunConfig,
    problem: Problem,
    models: Models,
    findings: Findings,
    metrics: Metrics,
    command: str,
    warned: Sequence[str],
) -> ReportContent:
    """Everything on the page."""
    data, student, prior = problem.data, models.student, problem.prior
    teachers = f"{len(prior.names)} teachers" if len(prior.names) > 1 else "one teacher"
    losses = student.trace.get("loss")
    losses = -student.trace["elbo"] if "elbo" in student.trace else losses
    return ReportContent(
        title=f"{data.name}: {teachers}, one {student_called(findings.diagnostics.kind)}",
        metrics=metrics,
        class_names=data.class_names,
        command=command,
        config=OmegaConf.to_yaml(OmegaConf.create(config.resolved)),
        facts=facts(config, problem, student) | peak_memory(),
        feature_names=data.feature_names,
        test=on_test(problem, findings),
        ood=on_ood(problem, findings, metrics),
        models=on_test_too(problem, findings),
        voices=voices(problem, student),
        teacher_tables=(*teaching_tables(metrics["teaching"]), *log_joint_tables(metrics.get("log_joint"))),
        validation_uses=tuple(validation_uses(config, problem)),
        diagnostics=findings.diagnostics,
        traces=traces(problem, student, findings),
        losses=None if losses is None else losses.numpy(),
        least_sure=least_sure(config, problem, student, findings),
        warnings=tuple(warned),
        created=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def facts(config: RunConfig, problem: Problem, student: Posterior) -> dict[str, str]:
    """What was run, in the order to be read."""
    data = problem.data
    labelled = int((data.pool.y >= 0).sum())
    made = int(data.pool.made.sum())
    added = f"{made:,} of them made by augmentation, {labelled:,}" if made else f"{labelled:,} of them"
    parts = [f"{len(data.pool):,} in the pool, {added} labelled"]
    parts += [f"{len(rows):,} {name}" for name, rows in data.splits.items() if name in ("validation", "test")]
    if data.ood is not None and len(data.ood):
        parts.append(f"{len(data.ood):,} out of distribution ({data.ood_name})")
    said = {
        "Data": f"{data.name}: {'; '.join(parts)}; {data.num_classes} classes",
        "Augmentation": method(config, "augmentation") if made else "",
        "Teachers": ", ".join(problem.prior.names),
        "Teachers left out": left_out(problem),
        "Teachers not asked": "; ".join(
            reason.removeprefix("no bank for ") for reason in problem.missing.values()
        ),
        "Temperature": method(config, "temperature"),
        "Weighting": method(config, "weighting"),
        "Prior": method(config, "prior"),
        "Feature transfer": "" if problem.hints is None else method(config, "features"),
        "Student": f"{config.methods['student']}, {student.num_weights:,} weights",
        "Engine": f"{config.methods['inference']}: {counted(student.num_chains, 'chain')} of "
        f"{counted(student.num_draws, 'draw')}",
        "Seed": str(config.settings.seed),
    }
    return {name: text for name, text in said.items() if text}


def peak_memory() -> dict[str, str]:
    """The most that this process, and a GPU, have held so far; nothing where the system does not tell."""
    if sys.platform == "win32":
        return {}
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    told = human_bytes(unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    if torch.cuda.is_initialized():
        told += f", and {human_bytes(torch.cuda.max_memory_allocated())} on the GPU"
    return {"Peak memory": told}


def left_out(problem: Problem) -> str:
    """The teachers that were asked and dropped, in their order."""
    chosen = problem.selection
    return "" if chosen is None else ", ".join(chosen.dropped)


def validation_uses(config: RunConfig, problem: Problem) -> Iterator[str]:
    """What this run used validation labels for besides judging by them."""
    if problem.selection is not None:
        yield "to choose the teachers"
    if asks_held_out("temperature", config.temperature):
        yield "to find the teachers' temperatures"
    if len(problem.prior.names) > 1 and asks_held_out("weighting", config.weighting):
        yield "to weight the teachers"


def method(config: RunConfig, group: str) -> str:
    """A group's method with its settings, for people."""
    settings: dict[str, Any] = {k: v for k, v in config.resolved[group].items() if k != "name"}
    told = (f"{key.replace('_', ' ')} {value}" for key, value in settings.items())
    return ", ".join([config.methods[group], *told])


def on_test(problem: Problem, findings: Findings) -> TestPredictions | None:
    """The student on the test inputs, None where there are none, or where it says what is not a number."""
    said = findings.students["student"].get("test")
    if said is None or not said.finite:
        return None
    epistemic = said.epistemic.numpy() if findings.several else None
    return TestPredictions(said.mean.numpy(), problem.data.test.y.numpy(), said.total.numpy(), epistemic)


def on_test_too(problem: Problem, findings: Findings) -> tuple[TestedModel, ...]:
    """The other models on the test inputs, in the order of the table: teachers, their mean, other students; those that
    say what is not a number are left out."""
    said = {name: one.mean for name, one in findings.teachers.get("test", {}).items()}
    models: list[TestedModel] = [TestedModel(name, "teacher", mean.numpy()) for name, mean in said.items()]
    if said:
        models.append(
            TestedModel(NAMES["ensemble"], "ensemble", torch.stack(list(said.values())).mean(0).numpy())
        )
    baselines: tuple[Role, ...] = ("label_only", "kd")
    for role in baselines:
        one = findings.students.get(f"{role}_student", {}).get("test")
        if one is not None:
            models.append(TestedModel(NAMES[role], role, one.mean.numpy()))
    return tuple(model for model in models if np.isfinite(model.probs).all())


def voices(problem: Problem, student: Posterior) -> TeacherVoices:
    """Weights of the teachers with how they were found, and their responsibilities."""
    prior, weights = problem.prior, problem.weights
    course, scale = weights.found.get("course"), weights.scale
    return TeacherVoices(
        prior.names,
        prior.weights.numpy(),
        responsibilities(problem, student),
        None if course is None else course.numpy(),
        None if scale is None else scale.numpy(),
    )


def on_ood(problem: Problem, findings: Findings, metrics: Metrics) -> OutOfDistribution | None:
    """The student on inputs from elsewhere, None where they were not told apart from test inputs."""
    said, scores = findings.students["student"].get("ood"), metrics["student"]["ood"]
    if said is None or scores is None:
        return None
    epistemic = said.epistemic.numpy() if findings.several else None
    return OutOfDistribution(problem.data.ood_name, said.total.numpy(), epistemic, scores)


def responsibilities(problem: Problem, student: Posterior) -> np.ndarray:
    """How much each teacher weighs under the fitted student at the pool's rows, averaged over draws, `[N, M]`."""
    pool, prior = problem.data.pool, problem.prior
    thinned = student.thin(VOICE_DRAWS)
    found: list[Tensor] = []
    for rows in torch.arange(len(pool)).split(VOICE_ROWS):
        probs = thinned.predict(pool.x[rows]).probs.float()  # as the teachers' tensors are
        log_q = probs.clamp(min=torch.finfo(torch.float32).tiny).log()
        found.append(prior.responsibilities(log_q, rows).mean(0).float())
    return torch.cat(found).numpy()


def traces(problem: Problem, student: Posterior, findings: Findings) -> ChainTraces | None:
    """The chains of the log density and of each held-out input's most probable class; None where draws are independent,
    modes, or of one chain."""
    walks = findings.diagnostics.kind in ("exact", "stochastic gradient")
    if not walks or student.num_chains < 2 or student.num_draws < 2:
        return None
    top = findings.held_out.labels
    probs = findings.held_out.by_chain[:, :, torch.arange(len(top)), top].numpy()
    names = problem.data.class_names
    labels = tuple(f"p({names[int(k)]}) at {name}" for k, name in zip(top, findings.rows.ids, strict=True))
    return ChainTraces(student.log_density.numpy(), probs, labels, successive_energies(student))


def least_sure(
    config: RunConfig, problem: Problem, student: Posterior, findings: Findings
) -> tuple[UnsureInput, ...] | None:
    """The test inputs with the largest total uncertainty, and what everyone says of them."""
    said = findings.students["student"].get("test")
    if said is None:
        return None
    order = said.total.argsort(descending=True)[: config.report.least_sure]
    if not len(order):
        return ()
    test = problem.data.test
    lower, upper = student.predict(test.x[order]).interval(0.9)
    raw = test.x.numpy() if test.raw is None else test.raw
    teachers = findings.teachers.get("test", {})
    found = []
    for place, i in enumerate(order.tolist()):
        bounds = (lower[place].numpy(), upper[place].numpy()) if findings.several else (None, None)
        found.append(
            UnsureInput(
                id=str(test.ids[i]),
                value=raw[i] if isinstance(raw[i], np.ndarray) else str(raw[i]),
                student=Opinion("student", said.mean[i].numpy(), *bounds),
                teachers=tuple(Opinion(name, one.mean[i].numpy()) for name, one in teachers.items()),
                total=float(said.total[i]),
                epistemic=float(said.epistemic[i]) if findings.several else None,
                truth=int(test.y[i]) if test.y[i] >= 0 else None,
            )
        )
    return tuple(found)
