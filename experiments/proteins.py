"""Proteins, two teachers: what they and a posterior add to a small student, over 5 seeds.

    python -m experiments.proteins --data deeploc2_mtbkd.npz [--quick]

Every student is fitted twice: to the 2,000 rows of the authors' inner split, on whose other 500 rows its settings
were chosen, and to all 2,500. The split is the authors'; a seed varies student and engine. Each run is one `mtbkd`
command in a folder of its own: a study that was stopped goes on where it was (after a change of conf/experiment,
remove the folders that it concerns).
"""

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from experiments.seed_table import interval

RESULTS = Path(__file__).parent / "results" / "proteins.csv"
POOLS = {"all": 2500, "fit": 2000}


@dataclass(frozen=True)
class Arm:
    """One student of the comparison: its row's title, what its command says, and its minutes a run on one thread."""

    name: str
    title: str
    choices: tuple[str, ...]
    minutes: float


# Prior scales by validation NLL: labels only of 1.3 to 5 (SVI) and of 1.8 to 9 (HMC), KD and MT-BKD of .9 to 2, these
# with concentrations of 3 to 8, KD with 100 to 400 steps.
LABELS = ("prior.strength=0", "student.prior_scale=4")
ARMS = (
    Arm("label_only", "labels only, SVI", ("experiment=proteins", *LABELS), 0.5),
    Arm("label_only_hmc", "labels only, HMC", ("experiment=proteins", "inference=hmc", *LABELS), 1.8),
    Arm("kd", "plain KD (MAP)", ("experiment=proteins", "inference=map", "student.prior_scale=1.3"), 0.4),
    Arm("svi", "MT-BKD, SVI", ("experiment=proteins",), 0.5),
    Arm("hmc", "MT-BKD, HMC", ("experiment=proteins", "inference=hmc"), 2.0),
    Arm("sequence", "MT-BKD, SVI, localisation features", ("experiment=proteins_sequence",), 0.8),
)
# Seconds instead of minutes, to see that all of it works; the figures mean nothing.
QUICK_HMC = (
    "inference.warmup=20",
    "inference.draws=10",
    "inference.max_leapfrogs=2",
    "inference.warm_start=20",
)
QUICK = {"kd": ("inference.steps=20",), "hmc": QUICK_HMC, "label_only_hmc": QUICK_HMC}
QUICK_SVI = ("inference.steps=20", "inference.draws=10", "inference.warm_start=20")
# Not run here, cells as in the table: the recipe of the release (github.com/AnonymousSub1/MTBKD) re-run by us on the
# same 461 columns, standardised, with 3 seeds; and the release's own figure, whose student has a pretrained body.
QUOTED = (
    "| released recipe on these columns, re-run, 3 seeds | 2,000 | .495 .485 .492 | 1.98 1.97 1.95 | .25 .26 .24 "
    "| | | |",
    "| released student, on a frozen ESM-2 of 7.5 million weights, as published | | .622 | | | | | |",
)


@dataclass(frozen=True)
class Run:
    """One command of the study."""

    arm: Arm
    pool: str
    seed: int
    quick: bool

    def folder(self, root: Path) -> Path:
        return root / f"{self.arm.name}-{self.pool}-{self.seed}{'-quick' * self.quick}"

    def finished(self, data: Path, root: Path) -> bool:
        """Whether this very command has been run to its end."""
        record = self.folder(root) / "run.json"
        if not record.exists():
            return False
        found = json.loads(record.read_text())
        return (
            found["state"] == "finished" and shlex.split(found["command"])[1:] == self.command(data, root)[1:]
        )

    def command(self, data: Path, root: Path) -> list[str]:
        """What a person would type, of this Python's environment."""
        shorter = QUICK.get(self.arm.name, QUICK_SVI) if self.quick else ()
        settings = (f"data.path={data}", f"data.fit_on={self.pool}", f"seed={self.seed}", "baseline=none")
        here = f"hydra.run.dir={self.folder(root)}"
        mtbkd = Path(sys.executable).with_name("mtbkd")
        return [str(mtbkd), *self.arm.choices, *settings, *shorter, here]


def runs(quick: bool) -> Iterator[Run]:
    """All runs, the quick arms first; one seed where only the machinery is tried."""
    for arm in sorted(ARMS, key=lambda arm: arm.minutes):
        for pool in POOLS:
            for seed in range(1 if quick else 5):
                yield Run(arm, pool, seed, quick)


def row(run: Run, root: Path) -> dict[str, object]:
    """What one finished run found."""
    metrics = json.loads((run.folder(root) / "metrics.json").read_text())
    student, timing, numbers = metrics["student"], metrics["timing"], metrics["diagnostics"]["numbers"]
    scores = {name: student[name] for name in ("accuracy", "nll", "ece", "ece_band_low", "ece_band_high")}
    return {
        "model": run.arm.name,
        "pool": POOLS[run.pool],
        "seed": run.seed,
        **scores,
        "parameters": student["parameters"],
        "seconds": timing["student_s"] + timing.get("kd_student_s", 0.0),
        "rhat_log_density": numbers.get("rhat_log_density"),
        "rhat_probs_median": numbers.get("rhat_probs_median"),
        "rhat_probs_max": numbers.get("rhat_probs_max"),
    }


def markdown(found: pd.DataFrame) -> str:
    """Mean and 95 % t interval over seeds, a row a model and pool."""
    lines = [
        "| student | rows | accuracy | NLL | ECE | ECE in its 95 % band | weights | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for arm in ARMS:
        for size in POOLS.values():
            own = found[(found["model"] == arm.name) & (found["pool"] == size)]
            if own.empty:
                continue
            scores = " | ".join(interval(own[name]) for name in ("accuracy", "nll", "ece"))
            inside = int(own["ece"].between(own["ece_band_low"], own["ece_band_high"]).sum())
            costs = f"{own['parameters'].iloc[0]:,} | {own['seconds'].mean():.0f}"
            lines.append(f"| {arm.title} | {size:,} | {scores} | {inside} of {len(own)} | {costs} |")
    chains = found.dropna(subset=["rhat_log_density"])
    text = "\n".join([*lines, *QUOTED])
    if len(chains):
        text += (
            f"\n\nHMC: R-hat of the log density at most {chains['rhat_log_density'].max():.3f}, of held-out "
            f"probabilities {chains['rhat_probs_median'].mean():.3f} (median) to {chains['rhat_probs_max'].max():.2f}"
            " (worst of all runs)."
        )
    return text


def main() -> None:
    """Do what is left of the study, and tell it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="deeploc2_mtbkd.npz")
    parser.add_argument("--out", type=Path, default=Path("out/proteins"), help="where the runs' folders lie")
    parser.add_argument("--quick", action="store_true", help="one seed, few steps: only to see that it works")
    arguments = parser.parse_args()
    data, out = arguments.data.resolve(), arguments.out.resolve()
    planned = list(runs(arguments.quick))
    minutes = sum(0.3 if arguments.quick else run.arm.minutes for run in planned)
    print(f"{len(planned)} runs, about {minutes:.0f} minutes on one thread if none is done yet", flush=True)
    rows = []
    for number, run in enumerate(planned, 1):
        if not run.finished(data, out):
            done = subprocess.run(run.command(data, out), capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"{run.folder(out)}: exit code {done.returncode}\n{done.stderr}")
        rows.append(row(run, out))
        told = {name: rows[-1][name] for name in ("accuracy", "nll", "ece", "seconds")}
        print(f"{number}/{len(planned)} {run.folder(out).name}: {told}", flush=True)
    found = pd.DataFrame(rows)
    if not arguments.quick:
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        found.to_csv(RESULTS, index=False, float_format="%.5g")
    print(markdown(found))


if __name__ == "__main__":
    main()
