"""What a run found, as metrics, as files and as the content of its report."""

import datetime
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from omegaconf import OmegaConf
from torch import Tensor

from mtbkd.configuration import RunConfig
from mtbkd.data.distillation import DistillationData, Rows
from mtbkd.evaluation.diagnostics import Diagnostics, diagnose_chains, diagnose_loss, not_applicable
from mtbkd.evaluation.scores import evaluate
from mtbkd.evaluation.uncertainty import ood_scores
from mtbkd.posterior import Posterior
from mtbkd.prediction import Prediction
from mtbkd.priors.prior import TeacherPrior
from mtbkd.report.content import (
    ChainTraces,
    Opinion,
    OutOfDistribution,
    ReportContent,
    TeacherVoices,
    TestPredictions,
    UnsureInput,
)
from mtbkd.teachers.bank import TeacherBank

if TYPE_CHECKING:
    from arviz import InferenceData

Metrics = dict[str, Any]
# Draws that responsibilities are averaged over: their mean moves by less than a percent beyond.
VOICE_DRAWS = 50


@dataclass(frozen=True)
class Models:
    """The students of a run."""

    student: Posterior
    kd: Posterior | None = None
    label_only: Posterior | None = None

    @property
    def named(self) -> dict[str, Posterior]:
        """Those there are, by their name in metrics.json."""
        found = {"student": self.student, "kd_student": self.kd, "label_only_student": self.label_only}
        return {name: posterior for name, posterior in found.items() if posterior is not None}


# ---- metrics ---------------------------------------------------------------------------------------------------
def metrics_of(
    config: RunConfig,
    data: DistillationData,
    banks: dict[str, TeacherBank],
    models: Models,
    timing: dict[str, float],
) -> Metrics:
    """Everything of metrics.json; None where undefined."""
    scored: Metrics = {name: student_metrics(posterior, data) for name, posterior in models.named.items()}
    teachers, ensemble = teacher_metrics(banks.get("test"), data, banks["pool"])
    if data.ood is not None and len(data.ood):
        inside, outside = models.student.predict(data.test.x), models.student.predict(data.ood.x)
        scored["student"]["ood"] = ood_scores(inside, outside)
    diagnostics = diagnose(config, data, models.student)
    return {
        "student": scored["student"],
        "teachers": teachers,
        "teacher_ensemble": ensemble,
        "kd_student": scored.get("kd_student"),
        "label_only_student": scored.get("label_only_student"),
        "diagnostics": asdict(diagnostics),
        "timing": {**timing, "resumed_from_step": None},
        "versions": versions(),
    }


def student_metrics(posterior: Posterior, data: DistillationData) -> Metrics:
    """Scores on the test rows, size and latency of one posterior."""
    scores: Metrics = {"accuracy": None, "nll": None, "brier": None, "ece": None}
    if len(data.test) and bool((data.test.y >= 0).any()):
        scores = dict(evaluate(posterior.predict(data.test.x), data.test.y))
    one = data.pool.x[:1]
    size = {"parameters": posterior.num_weights, "stored_bytes": posterior.stored_bytes}
    return {**scores, **size, "latency_ms": latency(posterior, one)}


def teacher_metrics(
    bank: TeacherBank | None, data: DistillationData, pool: TeacherBank
) -> tuple[Metrics, Metrics | None]:
    """Scores and costs of each teacher and of their mean probabilities."""
    source = bank or pool
    costs = source.costs or [None] * source.num_teachers
    labelled = bank is not None and bool((data.test.y >= 0).any())
    teachers: Metrics = {}
    for m, name in enumerate(source.names):
        found = dict(evaluate(bank.draw_probs(m), data.test.y)) if bank is not None and labelled else {}
        cost = asdict(costs[m]) if costs[m] is not None else {}
        teachers[name] = {**found, **cost}
    if bank is None or not labelled:
        return teachers, None
    ensemble: Metrics = dict(evaluate(bank.mean_probs().mean(0), data.test.y))
    for key in ("parameters", "stored_bytes", "latency_ms"):
        known = [teacher.get(key) for teacher in teachers.values()]
        ensemble[key] = None if None in known else sum(known)
    return teachers, ensemble


def latency(posterior: Posterior, one: Tensor, repeats: int = 15) -> float:
    """Median milliseconds to predict one input with all draws, on this machine."""
    posterior.predict(one)
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        posterior.predict(one)
        times.append(time.perf_counter() - began)
    return 1000 * median(times)


def diagnose(config: RunConfig, data: DistillationData, posterior: Posterior) -> Diagnostics:
    """Whether the engine converged, by what is identifiable."""
    if posterior.num_chains > 1 and posterior.num_draws > 1:
        probs = held_out(config, data, posterior).by_chain.flatten(2).numpy()
        diverging, accept = posterior.stats.get("diverging"), posterior.stats.get("accept")
        return diagnose_chains(
            posterior.log_density.numpy(),
            probs,
            None if diverging is None else int(diverging.sum()),
            None if accept is None else float(accept.mean()),
        )
    if "elbo" in posterior.trace:
        return diagnose_loss(-posterior.trace["elbo"].numpy())
    if "loss" in posterior.trace:
        return diagnose_loss(posterior.trace["loss"].numpy())
    return not_applicable("One point estimate: there is nothing to mix, and no posterior uncertainty.")


def held_out(config: RunConfig, data: DistillationData, posterior: Posterior) -> Prediction:
    """Predictions at the few held-out inputs that chains are compared by."""
    return posterior.predict(held_out_rows(config, data).x)


def held_out_rows(config: RunConfig, data: DistillationData) -> Rows:
    rows = data.test if len(data.test) else data.pool
    return rows.take(torch.arange(min(config.report.held_out, len(rows))))


def versions() -> dict[str, str]:
    packages = ("mtbkd", "torch", "pyro-ppl", "numpy", "arviz", "scikit-learn")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


# ---- files -----------------------------------------------------------------------------------------------------
def save_predictions(
    path: Path, data: DistillationData, banks: dict[str, TeacherBank], models: Models
) -> None:
    """What each model says of the test and of the out-of-distribution inputs, as plain arrays."""
    arrays: dict[str, np.ndarray] = {"class_names": np.array(data.class_names)}
    for split in ("test", "ood"):
        rows = data.splits.get(split)
        if rows is None:
            continue
        arrays[f"{split}_ids"], arrays[f"{split}_y"] = rows.ids.astype(str), rows.y.numpy()
        for name, posterior in models.named.items():
            prediction = posterior.predict(rows.x)
            arrays[f"{split}_{name}_mean"] = prediction.mean.numpy()
            arrays[f"{split}_{name}_total"] = prediction.total.numpy()
            arrays[f"{split}_{name}_epistemic"] = prediction.epistemic.numpy()
        if split in banks:
            arrays[f"{split}_teachers"] = banks[split].mean_probs().numpy()
            arrays["teacher_names"] = np.array(banks[split].names)
    temporary = path.with_name(f".{path.name}")
    with temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    temporary.replace(path)


def to_inference_data(
    config: RunConfig,
    data: DistillationData,
    banks: dict[str, TeacherBank],
    prior: TeacherPrior,
    models: Models,
) -> "InferenceData":
    """The student's draws in function space, with what teachers say at the same inputs."""
    rows = held_out_rows(config, data)
    teachers = banks.get("test" if len(data.test) else "pool")
    known = (
        None if teachers is None else {"probs": teachers.take(torch.arange(len(rows))).mean_probs().numpy()}
    )
    return models.student.to_arviz(
        rows.x,
        ids=rows.ids.astype(str).tolist(),
        class_names=data.class_names,
        y=rows.y,
        teacher_names=prior.names,
        teacher_data=known,
    )


# ---- the report ------------------------------------------------------------------------------------------------
def report_content(
    config: RunConfig,
    data: DistillationData,
    banks: dict[str, TeacherBank],
    prior: TeacherPrior,
    models: Models,
    metrics: Metrics,
    command: str,
    warned: Sequence[str],
) -> ReportContent:
    """Everything on the page."""
    student = models.student
    test = student.predict(data.test.x) if len(data.test) else None
    several = student.num_chains * student.num_draws > 1
    losses = student.trace.get("loss")
    losses = -student.trace["elbo"] if "elbo" in student.trace else losses
    predictions = None
    if test is not None:
        epistemic = test.epistemic.numpy() if several else None
        predictions = TestPredictions(test.mean.numpy(), data.test.y.numpy(), test.total.numpy(), epistemic)
    return ReportContent(
        title=f"{data.name}: {len(prior.names)} teachers, one Bayesian student",
        metrics=metrics,
        class_names=data.class_names,
        command=command,
        config=OmegaConf.to_yaml(OmegaConf.create(config.resolved)),
        facts=facts(config, data, student),
        kind=data.kind,
        test=predictions,
        ood=ood_content(data, student, metrics, several),
        voices=TeacherVoices(prior.names, prior.weights.numpy(), voices(prior, data, student)),
        diagnostics=Diagnostics(**metrics["diagnostics"]),
        traces=traces(config, data, student),
        losses=None if losses is None else losses.numpy(),
        least_sure=None if test is None else least_sure(config, data, banks.get("test"), test, several),
        warnings=tuple(warned),
        created=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def facts(config: RunConfig, data: DistillationData, student: Posterior) -> dict[str, str]:
    """What was run, in the order to be read."""
    labelled = int((data.pool.y >= 0).sum())
    parts = [f"{len(data.pool):,} in the pool, {labelled:,} of them labelled"]
    parts += [f"{len(rows):,} {name}" for name, rows in data.splits.items() if name != "pool"]
    return {
        "Data": f"{data.name}: {'; '.join(parts)}; {data.num_classes} classes",
        "Teachers": ", ".join(config.resolved["teachers"].get("members") or data.supplied),
        "Weighting": config.methods["weighting"],
        "Prior": f"{config.methods['prior']}, concentration {config.prior.concentration:g}, "
        f"strength {config.prior.strength:g}, temperature {config.prior.temperature:g}",
        "Student": f"{config.methods['student']}, {student.num_weights:,} weights",
        "Engine": f"{config.methods['inference']}: {student.num_chains} chains of {student.num_draws} draws",
        "Seed": str(config.settings.seed),
    }


def voices(prior: TeacherPrior, data: DistillationData, student: Posterior) -> np.ndarray:
    """Responsibilities at the pool's rows, averaged over draws, `[N, M]`."""
    thinned = student.thin(VOICE_DRAWS)
    total = torch.zeros(len(data.pool), len(prior.names))
    for rows in torch.arange(len(data.pool)).split(2048):
        log_q = thinned.predict(data.pool.x[rows]).probs.clamp(min=1e-38).log()
        total[rows] = prior.responsibilities(log_q, rows).mean(0).float()
    return total.numpy()


def ood_content(
    data: DistillationData, student: Posterior, metrics: Metrics, several: bool
) -> OutOfDistribution | None:
    if data.ood is None or not len(data.ood):
        return None
    prediction = student.predict(data.ood.x)
    epistemic = prediction.epistemic.numpy() if several else None
    return OutOfDistribution(
        "inputs from elsewhere", prediction.total.numpy(), epistemic, metrics["student"]["ood"]
    )


def traces(config: RunConfig, data: DistillationData, student: Posterior) -> ChainTraces | None:
    if student.num_chains < 2 or student.num_draws < 2:
        return None
    rows = held_out_rows(config, data)
    prediction = student.predict(rows.x)
    top = prediction.labels
    index = torch.arange(len(rows))
    probs = prediction.by_chain[:, :, index, top].numpy()
    labels = tuple(f"p({data.class_names[int(k)]}) at {name}" for k, name in zip(top, rows.ids, strict=True))
    return ChainTraces(student.log_density.numpy(), probs, labels)


def least_sure(
    config: RunConfig,
    data: DistillationData,
    bank: TeacherBank | None,
    test: Prediction,
    several: bool,
) -> tuple[UnsureInput, ...]:
    """The test inputs with the largest total uncertainty, and what everyone says of them."""
    order = test.total.argsort(descending=True)[: config.report.least_sure]
    lower, upper = test.interval(0.9)
    found = []
    for i in order.tolist():
        bounds = (lower[i].numpy(), upper[i].numpy()) if several else (None, None)
        teachers: tuple[Opinion, ...] = ()
        if bank is not None:
            probs = bank.take(torch.tensor([i])).mean_probs()[:, 0].numpy()
            teachers = tuple(Opinion(name, p) for name, p in zip(bank.names, probs, strict=True))
        raw = data.test.x.numpy() if data.test.raw is None else data.test.raw
        found.append(
            UnsureInput(
                id=str(data.test.ids[i]),
                value=raw[i] if isinstance(raw[i], np.ndarray) else str(raw[i]),
                student=Opinion("Bayesian student", test.mean[i].numpy(), *bounds),
                teachers=teachers,
                total=float(test.total[i]),
                epistemic=float(test.epistemic[i]) if several else None,
                truth=int(data.test.y[i]) if data.test.y[i] >= 0 else None,
            )
        )
    return tuple(found)
