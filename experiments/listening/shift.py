"""Part 6: inputs that are worse than those it learned from. Does the student know?

    python -m experiments.listening.shift [--quick] [--seeds 5] [--jobs 1]

Part 1's students of digits and of Fashion-MNIST (the same sweeps, done here if they are not there; the latter where
MTBKD_DATA names the folder of its files) at test images with noise, blur or missing pixels at five severities. Severity
0 is the test images as they are. The teachers are trained again, as the runs trained them, and shown the same images;
the epistemic part of their ensemble is their disagreement.
"""

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from experiments.listening import ways
from experiments.listening.corruption import KINDS, SEVERITIES, corrupted
from experiments.listening.kept_rows import Row
from experiments.listening.line_figure import Line, panels
from experiments.listening.paired_table import table
from experiments.listening.problems import DIGITS
from experiments.listening.study import Part, Settings, command, way_of
from experiments.listening.sweeps import Run
from experiments.listening.weightings import FEW, part
from mtbkd.configuration import typed
from mtbkd.data.distillation import DistillationData
from mtbkd.evaluation.calibration import ece
from mtbkd.evaluation.proper_scores import nll
from mtbkd.prediction import Prediction
from mtbkd.teachers import BankCache, TeachersConfig, ask_all, build_teachers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 8  # of the digits, which come as rows of pixels
TOLD = (0, 3, 5)
ENSEMBLE = "teacher ensemble"
Place = tuple[str, int]  # a corruption and its severity
DRAWN = ("uniform", "entropy", "learned", ENSEMBLE)
HEADINGS = {
    "accuracy": "accuracy",
    "nll": "NLL",
    "ece": "ECE",
    "total": "total uncertainty",
    "epistemic": "epistemic",
}


def parts(settings: Settings) -> list[Part]:
    """Part 1's sweeps of the mixture on images."""
    every = {"weighting": ways.weightings()}
    found = [part(DIGITS, engine, "mixture pool", every, settings) for engine in ("map", "svi")]
    for problem in settings.from_files():
        if problem.name == "fashion_mnist" and not settings.quick:
            found.append(part(problem, "map", "mixture pool", every, settings))
            found.append(part(problem, "svi", "mixture pool", {"weighting": FEW}, settings))
    return found


def rows_of(part: Part, run: Run) -> list[Row]:
    """A row a corruption and severity; with those of uniform weights as many of the teachers' ensemble."""
    data, posterior = run.data(), run.posterior()
    said = {way_of(run.swept): {at: posterior.predict(x) for at, x in harder(data.test.x, run.seed)}}
    if ways.BASELINE in said:
        said[ENSEMBLE] = teachers_at(run, data)
    found = []
    for way, predicted in said.items():
        for (kind, severity), one in predicted.items():
            told = {"problem": part.problem, "engine": part.engine, "corruption": kind, "severity": severity}
            found.append({**told, "way": way, "seed": run.seed, **scores_at(one, data.test.y.numpy())})
    return found


def scores_at(said: Prediction, y: np.ndarray) -> dict[str, float]:
    """Scores of the mean, and how unsure the predictions are on average."""
    probs = said.mean.double().numpy()
    right = {"accuracy": float((probs.argmax(1) == y).mean()), "nll": nll(probs, y), "ece": ece(probs, y)}
    return right | {"total": float(said.total.mean()), "epistemic": float(said.epistemic.mean())}


def harder(x: Tensor, seed: int) -> Iterator[tuple[Place, Tensor]]:
    """Each kind at each severity, 0 first; the same noise for all students and teachers of a seed."""
    images = x if x.dim() == 4 else x.view(-1, 1, SIDE, SIDE)
    for kind in KINDS:
        yield (kind, 0), x
        for severity in SEVERITIES:
            generator = torch.Generator().manual_seed(seed)
            yield (kind, severity), corrupted(images, kind, severity, generator).view_as(x)


def teachers_at(run: Run, data: DistillationData) -> dict[Place, Prediction]:
    """What the run's teachers say there, each of them as a draw; asked once, and then read from the run's cache."""
    config: TeachersConfig = typed("teachers", TeachersConfig, run.config["teachers"])
    shown = {
        place: dataclasses.replace(data.test, x=x, raw=None) for place, x in harder(data.test.x, run.seed)
    }
    splits = {f"{kind} {severity}": rows for (kind, severity), rows in shown.items()}
    banks, _ = ask_all(build_teachers(config, data, run.seed), splits, BankCache(config.cache))
    return {
        place: Prediction(banks[name].completed_probs()) for place, name in zip(shown, splits, strict=True)
    }


def markdown(found: pd.DataFrame) -> str:
    """A table a problem, engine, corruption and some severities; all are in the CSV."""
    shown = found[found["severity"].isin(TOLD)]
    texts = []
    blocks = shown.groupby(["problem", "engine", "corruption", "severity"], sort=False)
    for (problem, engine, kind, severity), own in blocks:
        heading = f"### {problem}: {engine}, {kind}, severity {severity}"
        texts.append(f"{heading}\n\n{table(own, HEADINGS, {'nll': 'NLL − uniform'}, ways.BASELINE)}")
    return "\n\n".join(texts)


def figure(found: pd.DataFrame) -> "Figure":
    """NLL against severity, a panel a data set and corruption: each engine's students, and the teachers' ensemble."""
    own = found[found["way"].isin(DRAWN)]
    line = own["way"].where(own["way"] == ENSEMBLE, own["way"] + ", " + own["engine"])
    own = own.assign(line=line, panel=own["problem"].str.partition(",")[0] + ": " + own["corruption"])
    lines = {
        str(name): [Line.of(name, rows, "severity", "nll") for name, rows in one.groupby("line", sort=False)]
        for name, one in own.drop_duplicates(["panel", "line", "severity", "seed"]).groupby(
            "panel", sort=False
        )
    }
    return panels(lines, "severity", "NLL on test images")


if __name__ == "__main__":
    command("shift", __doc__, parts, rows_of, markdown, figure)
