"""Part 6: inputs that are worse than those it learned from. Does the student know?

    python -m experiments.listening.shift [--quick] [--seeds 5] [--jobs 1]

The digits' students of part 1 (the same sweeps, done here if they are not there) at test digits with noise, blur or
missing pixels at five severities. Severity 0 is the test digits as they are.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pandas as pd
import torch
from torch import Tensor

from experiments.listening import ways
from experiments.listening.corruption import KINDS, SEVERITIES, corrupted
from experiments.listening.line_figure import Line, panels
from experiments.listening.paired_table import table
from experiments.listening.problems import DIGITS
from experiments.listening.study import Part, Settings, command, runs_of, way_of
from experiments.listening.weightings import part
from mtbkd.evaluation.calibration import ece
from mtbkd.evaluation.proper_scores import nll

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 8
TOLD = (0, 3, 5)
DRAWN = ("uniform", "entropy", "learned")
HEADINGS = {
    "accuracy": "accuracy",
    "nll": "NLL",
    "ece": "ECE",
    "total": "total uncertainty",
    "epistemic": "epistemic",
}


def parts(settings: Settings) -> list[Part]:
    """Part 1's sweeps of the mixture on the digits."""
    swept = {"weighting": ways.weightings()}
    return [part(DIGITS, engine, "mixture pool", swept, settings) for engine in ("map", "svi")]


def rows(parts: list[Part], settings: Settings) -> pd.DataFrame:
    """A row a run, corruption and severity."""
    found = []
    for own, run in runs_of(parts, settings):
        data, posterior = run.data(), run.posterior()
        y = data.test.y.numpy()
        for kind, severity, x in harder(data.test.x, run.seed):
            said = posterior.predict(x)
            probs = said.mean.double().numpy()
            scores = {
                "accuracy": float((probs.argmax(1) == y).mean()),
                "nll": nll(probs, y),
                "ece": ece(probs, y),
            }
            unsure = {"total": float(said.total.mean()), "epistemic": float(said.epistemic.mean())}
            told = {"engine": own.engine, "corruption": kind, "severity": severity, "way": way_of(run.swept)}
            found.append({**told, "seed": run.seed, **scores, **unsure})
    return pd.DataFrame(found)


def harder(x: Tensor, seed: int) -> Iterator[tuple[str, int, Tensor]]:
    """Each kind at each severity, 0 first; the same noise for all students of a seed."""
    images = x.view(-1, 1, SIDE, SIDE)
    for kind in KINDS:
        yield kind, 0, x
        for severity in SEVERITIES:
            generator = torch.Generator().manual_seed(seed)
            yield kind, severity, corrupted(images, kind, severity, generator).view_as(x)


def markdown(found: pd.DataFrame) -> str:
    """A table an engine, corruption and some severities; all are in the CSV."""
    shown = found[found["severity"].isin(TOLD)]
    texts = []
    for (engine, kind, severity), own in shown.groupby(["engine", "corruption", "severity"], sort=False):
        heading = f"### {DIGITS.title}: {engine}, {kind}, severity {severity}"
        texts.append(f"{heading}\n\n{table(own, HEADINGS, {'nll': 'NLL − uniform'}, ways.BASELINE)}")
    return "\n\n".join(texts)


def figure(found: pd.DataFrame) -> "Figure":
    """NLL against severity, a panel a corruption."""
    own = found[found["way"].isin(DRAWN)]
    own = own.assign(line=own["way"] + ", " + own["engine"])
    lines = {
        str(kind): [Line.of(name, rows, "severity", "nll") for name, rows in one.groupby("line", sort=False)]
        for kind, one in own.groupby("corruption", sort=False)
    }
    return panels(lines, "severity", "NLL on test digits")


if __name__ == "__main__":
    command("shift", __doc__, parts, rows, markdown, figure)
