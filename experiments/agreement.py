"""What every engine's posterior says, against one long HMC run: the measure of Izmailov et al. 2021 (arXiv 2104.14421).

    python -m experiments.agreement --data deeploc2_mtbkd.npz [--problem digits] [--oracles] [--quick]

    agreement         share of test inputs with the same most probable class under the mean prediction
    total variation   mean over test inputs of 1/2 sum_k |p_k - q_k| of the mean predictions

One student, data and teachers a problem, as the command line has them; every engine that there is, as `conf/` has it
for that problem. The floor is what the long run's own two halves of chains say of each other, and the row of `hmc`, at
another seed and length. Each fit lies in a folder of its own with its checkpoints: a study that was stopped goes on
where it was.
"""

import argparse
import dataclasses
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from hydra import compose, initialize_config_dir
from torch import Tensor

from mtbkd import registry
from mtbkd.cli import conf_folder
from mtbkd.configuration import RunConfig, resolve
from mtbkd.density import Batch, Density
from mtbkd.draw_statistics import rhat
from mtbkd.evaluation.agreement import agreement, total_variation
from mtbkd.evaluation.scores import evaluate
from mtbkd.fitting import fit
from mtbkd.inference.engine import EngineConfig
from mtbkd.posterior import Posterior
from mtbkd.problem import Problem, ask, make_student, prepare
from mtbkd.progress import Progress, TerminalProgress
from mtbkd.students.student import Student

RESULTS = Path(__file__).parent / "results" / "agreement.csv"
REFERENCE = "reference"
ORACLES = ("nuts", "pyro_svi")  # Pyro's own: minutes to hours
MOST_FULL = 5000  # weights whose full covariance is taken
HELD_OUT = 100  # test inputs by whose probabilities chains are compared
FIGURES = ("agreement", "total_variation", "accuracy", "nll", "ece", "ece_band_low", "ece_band_high")


@dataclass(frozen=True)
class Arm:
    """A row: its engine, what it is told beyond `conf/`, and the most weights that it can be asked of."""

    name: str
    title: str
    engine: str
    choices: tuple[str, ...] = ()
    most: int | None = None


ARMS = (
    Arm("map", "MAP: plain KD", "map"),
    Arm("ensemble", "deep ensemble", "ensemble"),
    Arm("svi", "SVI, diagonal", "svi"),
    Arm("svi_low_rank", "SVI, low rank", "svi", ("inference.guide=low_rank",)),
    Arm("laplace_diagonal", "Laplace, diagonal", "laplace", ("inference.structure=diagonal",)),
    Arm("laplace_low_rank", "Laplace, low rank", "laplace", ("inference.structure=low_rank",)),
    Arm("laplace_full", "Laplace, full", "laplace", ("inference.structure=full",), MOST_FULL),
    Arm("sgld", "SGLD", "sgld"),
    Arm("sgld_cyclical", "SGLD, cyclical", "sgld", ("inference.schedule=cyclical",)),
    Arm("sghmc", "SGHMC", "sghmc"),
    Arm("sghmc_cyclical", "SGHMC, cyclical", "sghmc", ("inference.schedule=cyclical",)),
    Arm("hmc", "HMC, another seed", "hmc"),
)
HALVES = Arm("halves", "one half of its chains against the other", "hmc")


@dataclass(frozen=True)
class Study:
    """A problem: the command's words for its data, teachers and student, and for the long HMC run."""

    name: str
    choices: tuple[str, ...]
    long_run: tuple[str, ...]


def studies(data: Path | None) -> list[Study]:
    """Digits; and the proteins, where their file is given."""
    long_digits = ("inference.num_chains=16", "inference.warmup=300", "inference.draws=400")
    found = [Study("digits", (), long_digits)]
    if data is not None:
        proteins = ("experiment=proteins", f"data.path={data}", "data.fit_on=all")
        long_proteins = ("inference.num_chains=8", "inference.warmup=150", "inference.draws=200")
        found.append(Study("proteins", proteins, long_proteins))
    return found


def arms(oracles: bool = False) -> list[Arm]:
    """Those above, and every other engine that there is, as `conf/` has it; Pyro's own where wanted."""
    there = registry.names("inference")
    known = {arm.engine for arm in ARMS} | (set() if oracles else set(ORACLES))
    ours = [arm for arm in ARMS if arm.engine in there]
    return ours + [Arm(name, name, name) for name in there if name not in known]


def configured(study: Study, arm: Arm, quick: bool = False) -> RunConfig:
    """The typed configuration of the arm's words; a few steps of the engine where only the machinery is tried."""
    words = (*study.choices, f"inference={arm.engine}", *arm.choices)
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        config = resolve(compose("config", overrides=list(words)))
    return replace(config, inference=shortened(config.inference)) if quick else config


def shortened(engine: EngineConfig) -> EngineConfig:
    """The engine with a few steps and draws, whatever it has of them."""
    few = {"steps": 20, "warmup": 20, "draws": 6, "warm_start": 10, "max_leapfrogs": 3, "max_tree_depth": 2}
    few |= {"rank": 3, "num_members": 2, "passes": 1, "cycles": 2, "thin": 2}
    settings: dict[str, Any] = asdict(engine)  # type: ignore[call-overload]
    named = {f.name for f in dataclasses.fields(engine)}  # type: ignore[arg-type]
    if "num_chains" in named:
        few["num_chains"] = min(2, settings["num_chains"])
    return replace(engine, **{name: value for name, value in few.items() if name in named})  # type: ignore[type-var]


# ---- one fit ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fit:
    """What is kept of a fit: mean probabilities of each chain at the test inputs, `[C, N, K]`, and its figures."""

    by_chain: Tensor
    record: dict[str, Any]

    @property
    def mean(self) -> Tensor:
        """The mean prediction `[N, K]`."""
        return self.by_chain.mean(0)


def fitted(
    config: RunConfig, problem: Problem, student: Student, folder: Path, seed: int, progress: Progress
) -> Fit:
    """The fit that lies in this folder, or else makes it there; one that was stopped goes on."""
    settings: dict[str, Any] = asdict(config.inference)  # type: ignore[call-overload]
    identity = {"run": config.hash, "engine": settings, "seed": seed, "data": problem.data.pool.hash}
    path = folder / "fit.json"
    if path.is_file():
        record = json.loads(path.read_text())
        if record["identity"] == identity:
            return Fit(torch.from_numpy(np.load(folder / "test_probs.npy")), record)
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with passes_counted(len(problem.data.pool)) as passes:
        posterior = fit(
            student,
            problem.data,
            config.inference,
            seed=seed,
            progress=progress,
            compiled=config.settings.compile,
            checkpoint=folder / "begun",
        )
    by_chain = chain_means(posterior, problem.data.test.x)
    record = {"identity": identity, **figures_of(posterior, problem, passes[0])}
    np.save(folder / "test_probs.npy", by_chain.numpy())
    path.write_text(json.dumps(record, indent=1))
    shutil.rmtree(folder / "begun")
    return Fit(by_chain, record)


def chain_means(posterior: Posterior, x: Tensor) -> Tensor:
    """Mean probabilities of each chain at inputs `[N, ...]`, `[C, N, K]` in float64."""
    chains = range(posterior.num_chains)
    return torch.stack([posterior.chains(slice(c, c + 1)).predict(x).mean.double() for c in chains])


def figures_of(posterior: Posterior, problem: Problem, passes: float) -> dict[str, Any]:
    """Costs, and R-hat of the log density and of test inputs' probabilities where there are chains.

    Seconds and passes are of the whole fit, None where it went on from a checkpoint.
    """
    whole = posterior.meta["resumed_from_step"] is None
    figures: dict[str, Any] = {
        "seconds": posterior.meta["seconds"] if whole else None,
        "passes": passes if whole else None,
        "weights": posterior.num_weights,
        "chains": posterior.num_chains,
        "draws": posterior.num_draws,
    }
    if posterior.num_chains > 1 and posterior.num_draws >= 8:
        few = posterior.thin(4000).predict(problem.data.test.x[:HELD_OUT]).by_chain
        of_probs = rhat(few.numpy())
        of_probs = of_probs[np.isfinite(of_probs)]
        figures["rhat_log_density"] = float(rhat(posterior.log_density.numpy()))
        figures["rhat_probs_median"] = float(np.median(of_probs))
        figures["rhat_probs_max"] = float(of_probs.max())
    return figures


@contextmanager
def passes_counted(num_rows: int) -> Iterator[list[float]]:
    """Count gradients in passes over all rows, each chain's own: a mini-batch of n counts n / N.

    Only gradients of the traced density: not Laplace's Jacobians, nor what Pyro's own engines do.
    """
    seen = [0.0]
    evaluate_batch = Density.evaluate_batch

    def counting(self: Density, kind: str, theta: Tensor, batch: Batch) -> tuple[Tensor, ...]:
        if kind == "value_and_grad":
            seen[0] += len(theta) * len(batch[0]) / num_rows
        return evaluate_batch(self, kind, theta, batch)

    Density.evaluate_batch = counting  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        Density.evaluate_batch = evaluate_batch  # type: ignore[method-assign]


# ---- the table -------------------------------------------------------------------------------------------------


def compare(
    study: Study, chosen: Sequence[Arm], out: Path, quick: bool, progress: Progress
) -> Iterator[dict[str, object]]:
    """Fit what is not there yet, and tell a row an arm: the long run first, then its own two halves."""
    long_run = Arm(REFERENCE, "HMC, the long run", "hmc", study.long_run)
    config = configured(study, long_run, quick)
    problem = ask(config, prepare(config), progress)
    student = make_student(config, problem.data, problem.prior)
    root = out / f"{study.name}{'-quick' * quick}"

    def fit_arm(arm: Arm, seed: int) -> Fit:
        own = configured(study, arm, quick)
        return fitted(own, problem, student, root / arm.name, seed, progress)

    reference = fit_arm(long_run, seed=1000)
    labels = problem.data.test.y
    yield row(study, long_run, reference, reference.mean, labels)
    yield row(study, HALVES, Fit(reference.by_chain[::2], {}), reference.by_chain[1::2].mean(0), labels)
    for arm in chosen:
        if arm.most is not None and reference.record["weights"] > arm.most:
            print(f"{study.name}: no {arm.name}, for more than {arm.most:,} weights", file=sys.stderr)
            continue
        yield row(study, arm, fit_arm(arm, seed=0), reference.mean, labels)


def row(study: Study, arm: Arm, found: Fit, reference: Tensor, labels: Tensor) -> dict[str, object]:
    """An arm's figures beside the reference's mean prediction `[N, K]`."""
    scores = evaluate(found.mean, labels)
    compared = {
        "agreement": agreement(found.mean, reference),
        "total_variation": total_variation(found.mean, reference),
    }
    costs = {name: value for name, value in found.record.items() if name != "identity"}
    told = {"problem": study.name, "arm": arm.name, "title": arm.title}
    return told | compared | {name: scores[name] for name in FIGURES if name in scores} | costs


def markdown(found: pd.DataFrame) -> str:
    """A table a problem."""
    parts = []
    for problem, rows in found.groupby("problem", sort=False):
        lines = [
            f"{problem}\n",
            "| engine | agreement | total variation | accuracy | NLL | ECE | seconds | passes over the data |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for one in rows.to_dict("records"):
            itself = one["arm"] == REFERENCE
            scores = ["", ""] if itself else [f"{one['agreement']:.3f}", f"{one['total_variation']:.3f}"]
            scores += [f"{one[name]:.3f}" for name in ("accuracy", "nll", "ece")]
            costs = [f"{v:,.0f}" if pd.notna(v := one.get(name)) else "" for name in ("seconds", "passes")]
            lines.append(f"| {one['title']} | {' | '.join([*scores, *costs])} |")
        chains = rows[rows["arm"] == REFERENCE].iloc[0]
        if pd.notna(chains.get("rhat_log_density")):
            lines.append(
                f"\nThe long run: {chains['chains']:.0f} chains of {chains['draws']:.0f} draws; R-hat of the log "
                f"density {chains['rhat_log_density']:.3f}, of test probabilities "
                f"{chains['rhat_probs_median']:.3f} (median) to {chains['rhat_probs_max']:.3f} (worst)."
            )
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def main() -> None:
    """Do what is left of the study, and tell it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="deeploc2_mtbkd.npz; without it, digits alone")
    parser.add_argument(
        "--problem", action="append", help="digits or proteins, as often as wanted; else both"
    )
    parser.add_argument("--arm", action="append", help="these engines alone")
    parser.add_argument("--oracles", action="store_true", help="Pyro's own engines too, which take long")
    parser.add_argument("--out", type=Path, default=Path("out/agreement"), help="where the fits lie")
    parser.add_argument("--quick", action="store_true", help="a few steps each: only to see that it works")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = None if arguments.data is None else arguments.data.resolve()
    chosen = [arm for arm in arms(arguments.oracles) if arguments.arm is None or arm.name in arguments.arm]
    rows: list[dict[str, object]] = []
    for study in studies(data):
        if arguments.problem is not None and study.name not in arguments.problem:
            continue
        for one in compare(study, chosen, arguments.out.resolve(), arguments.quick, TerminalProgress()):
            told = {
                name: one.get(name) for name in ("agreement", "total_variation", "accuracy", "nll", "seconds")
            }
            print(f"{one['problem']} {one['arm']}: {told}", flush=True)
            rows.append(one)
    found = pd.DataFrame(rows)
    if not arguments.quick:
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        found.to_csv(RESULTS, index=False, float_format="%.5g")
        RESULTS.with_suffix(".md").write_text(markdown(found) + "\n")
    print(markdown(found))


if __name__ == "__main__":
    main()
