"""One task after the other: what of the earlier ones is left, by what a student brings along.

    python -m experiments.continual [--quick] [--data fashion_mnist.npz]

Ten classes come as five tasks of two; of each task the rows are seen once and never again. In two scenarios: `class`
(class-incremental: one softmax over all ten, the task is not told at test) and `domain` (domain-incremental: two
answers, even or odd class, in every task). What a student brings to its next task:

    fine_tuning   the weights alone: MAP from where it was
    refitting     the same by SVI, so that what follows is not credited with the engine's own effect
    prior         its posterior, as the prior on its weights: `PosteriorWeights`, as VCL (Nguyen et al. 2018)
    teacher       its posterior, as a teacher at the new task's inputs, of the classes it knows (as LwF)
    both          both
    joint         all rows of all tasks so far: what the others are to be compared with

All but the first are SVI, of 700 steps and otherwise the toolkit's settings. One thing was changed after a look at the
table: the teacher counts as much as a label does, as in LwF; with a precision by moments (up to 20 labels) it outvotes
the new task's labels, and the student of `domain` ends at chance (.50). Nothing else was tuned.

Measured is accuracy on the test rows of each task after each task; forgetting is the mean over tasks but the last of
the best accuracy before the last task less that after it (Chaudhry et al. 2018). A study that was stopped goes on
behind what its table has (after a change of settings, remove the file).
"""

import argparse
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from experiments.seed_table import interval
from mtbkd import Posterior, PosteriorWeights, Student, TeacherBank, fit, weighting
from mtbkd.data.distillation import Rows
from mtbkd.data.npz import read_npz
from mtbkd.data.splits import stratified_split
from mtbkd.inference import MAPConfig, SVIConfig
from mtbkd.inference.engine import EngineConfig
from mtbkd.priors import DirichletMixture
from mtbkd.students import mlp
from mtbkd.teachers.saved_posterior import PredictiveTeacher

RESULTS = Path(__file__).parent / "results" / "continual.csv"
KEY = ["data", "scenario", "arm", "seed"]
TASKS = tuple((2 * t, 2 * t + 1) for t in range(5))
SCENARIOS = {"class": 10, "domain": 2}  # answers
ARMS = {
    "fine_tuning": "fine-tuning (MAP)",
    "refitting": "fine-tuning (SVI)",
    "prior": "posterior as weight prior",
    "teacher": "posterior as teacher",
    "both": "posterior as both",
    "joint": "all tasks together",
}
SEEDS = 5
TEACHER = 1.0  # pseudo-observations at an input: as many as its label is
FASHION_ROWS = {"train": 200, "test": 100}  # of each class


@dataclass(frozen=True)
class Effort:
    """hidden: width of the student; steps of MAP and of SVI; draws: of a posterior, by which the next task knows it."""

    hidden: int = 32
    steps: int = 700
    draws: int = 200
    seconds: float = 2.0  # a fit on one core, roughly

    def engine(self, arm: str) -> EngineConfig:
        """What fits an arm's students."""
        if arm == "fine_tuning":
            return MAPConfig(steps=self.steps)
        return SVIConfig(steps=self.steps, warm_start=self.steps // 2, draws=self.draws)


@dataclass(frozen=True)
class Task:
    """Rows of two classes: inputs `[n, D]` and answers `[n]`; known: the answers that it teaches."""

    x: Tensor
    y: Tensor
    test_x: Tensor
    test_y: Tensor
    known: frozenset[int]


# ---- data --------------------------------------------------------------------------------------------------------


def digits(seed: int) -> dict[str, Tensor]:
    """scikit-learn's digits, 80 % of each class to learn from; grey levels in 0..1, so that no task looks ahead."""
    from sklearn.datasets import load_digits

    found = load_digits()
    split = stratified_split(found.target, 0.0, 0.2, seed)
    x, y = torch.tensor(found.data / 16, dtype=torch.float32), torch.tensor(found.target)
    return {"x": x[split.pool], "y": y[split.pool], "test_x": x[split.test], "test_y": y[split.test]}


def fashion(path: Path, seed: int) -> dict[str, Tensor]:
    """Some of Fashion-MNIST's rows of each class, drawn by the seed; grey levels in 0..1."""
    arrays = read_npz(path, ["x_train", "y_train", "x_test", "y_test"])
    rng = np.random.default_rng(seed)
    found = {}
    for part, prefix in (("train", ""), ("test", "test_")):
        labels = arrays[f"y_{part}"]
        rows = [rng.permutation(np.flatnonzero(labels == k))[: FASHION_ROWS[part]] for k in range(10)]
        chosen = np.concatenate(rows)
        found[f"{prefix}x"] = torch.tensor(arrays[f"x_{part}"][chosen] / 255, dtype=torch.float32).flatten(1)
        found[f"{prefix}y"] = torch.tensor(labels[chosen].astype(np.int64))
    return found


def tasks_of(rows: dict[str, Tensor], scenario: str) -> list[Task]:
    """The rows task by task, with the scenario's answers."""

    def answers(y: Tensor) -> Tensor:
        return y if scenario == "class" else y % 2

    tasks = []
    for classes in TASKS:
        own = {part: torch.isin(rows[f"{part}y"], torch.tensor(classes)) for part in ("", "test_")}
        parts = {f"{part}x": rows[f"{part}x"][own[part]] for part in own}
        parts |= {f"{part}y": answers(rows[f"{part}y"][own[part]]) for part in own}
        tasks.append(Task(**parts, known=frozenset(parts["y"].tolist())))
    return tasks


# ---- learning ----------------------------------------------------------------------------------------------------


def learn(
    arm: str, seen: Sequence[Task], before: Posterior | None, answers: int, effort: Effort, seed: int
) -> Posterior:
    """The student after the last of the tasks `seen`, from the one `before` it."""
    task = seen[-1]
    x, y = task.x, task.y
    if arm == "joint":
        x, y, before = torch.cat([t.x for t in seen]), torch.cat([t.y for t in seen]), None
    known = frozenset().union(*(t.known for t in seen[:-1]))
    said = teaching(before, x, known, answers) if before is not None and arm in ("teacher", "both") else None
    inherits = before is not None and arm in ("prior", "both")
    weight_prior = PosteriorWeights([before]) if before is not None and inherits else None
    with torch.random.fork_rng():
        student = Student(mlp(x.shape[1], [effort.hidden], answers), said, weight_prior=weight_prior)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*no labelled example")
        return fit(
            student, (x, y), effort.engine(arm), seed=seed, start=before, compiled="never", progress=False
        )


def teaching(before: Posterior, x: Tensor, known: frozenset[int], answers: int) -> DirichletMixture:
    """What the earlier student says of these inputs, of the answers that it has learned alone."""
    rows = Rows(x, torch.full((len(x),), -1), np.arange(len(x)).astype(str), torch.arange(len(x)))
    predictions = {"before": PredictiveTeacher("before", before, "").predict(rows)}
    classes = torch.tensor([[k in known for k in range(answers)]])
    bank = TeacherBank.from_predictions(predictions, rows.hash, classes=classes)
    return DirichletMixture(bank, weighting.uniform(bank), TEACHER, precision="fixed")


def sequence(
    arm: str, tasks: Sequence[Task], answers: int, effort: Effort, seed: int
) -> Iterator[dict[str, object]]:
    """Task after task: accuracy on the test rows of each task that was seen, counted from 1."""
    before = None
    for last in range(len(tasks)):
        began = time.perf_counter()
        before = learn(arm, tasks[: last + 1], before, answers, effort, seed)
        seconds = time.perf_counter() - began
        for number, task in enumerate(tasks[: last + 1], 1):
            right = before.predict(task.test_x).mean.argmax(-1) == task.test_y
            told = {"after": last + 1, "task": number, "accuracy": float(right.double().mean())}
            yield told | {"seconds": seconds}


# ---- the table ---------------------------------------------------------------------------------------------------


def accuracies(rows: pd.DataFrame) -> np.ndarray:
    """`[T, T]`: of one sequence's rows, accuracy on task j after task i; NaN where j was not seen yet."""
    return rows.pivot(index="after", columns="task", values="accuracy").to_numpy(float)


def forgetting(accuracy: np.ndarray) -> float:
    """mean_{j < T} ( max_{j <= i < T} a_ij - a_Tj ), 0 for one task; below 0 where later tasks helped."""
    tasks = len(accuracy)
    lost = [np.nanmax(accuracy[j : tasks - 1, j]) - accuracy[-1, j] for j in range(tasks - 1)]
    return float(np.mean(lost)) if lost else 0.0


def figures(found: pd.DataFrame) -> pd.DataFrame:
    """A row a finished sequence: mean accuracy over all tasks at the end, on the last task, and forgetting."""
    rows = []
    for key, own in found.groupby(KEY, sort=False):
        a = accuracies(own)
        scores = {"accuracy": a[-1].mean(), "last": a[-1, -1], "forgetting": forgetting(a)}
        rows.append(dict(zip(KEY, key, strict=True)) | scores)
    return pd.DataFrame(rows)


def markdown(found: pd.DataFrame) -> str:
    """Means and 95 % t intervals over seeds; the difference to fine-tuning is of the same seed."""
    head = [
        "data",
        "scenario",
        "brought along",
        "accuracy, all tasks",
        "less fine-tuning",
        "last task",
        "forgetting",
    ]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for (data, scenario), rows in figures(found).groupby(["data", "scenario"], sort=False):
        by_arm = {arm: own.set_index("seed") for arm, own in rows.groupby("arm")}
        for arm in [arm for arm in ARMS if arm in by_arm]:
            own, plain = by_arm[arm], by_arm.get("fine_tuning")
            paired = (
                []
                if plain is None or arm == "fine_tuning"
                else (own["accuracy"] - plain["accuracy"]).dropna()
            )
            cells = [interval(own["accuracy"]), interval(paired) if len(paired) else ""]
            cells += [interval(own["last"]), interval(own["forgetting"])]
            lines.append(f"| {' | '.join([str(data), str(scenario), ARMS[arm], *cells])} |")
    return "\n".join(lines)


def study(path: Path, data: Path | None, seeds: int, effort: Effort) -> pd.DataFrame:
    """Do what the table at `path` lacks, writing it after each sequence; and the whole table."""
    found = (
        pd.read_csv(path)
        if path.is_file()
        else pd.DataFrame(columns=[*KEY, "after", "task", "accuracy", "seconds"])
    )
    done = set(found[KEY].itertuples(index=False, name=None))
    named = ["digits"] if data is None else ["digits", "fashion_mnist"]
    left = [
        key
        for key in (
            (name, s, arm, seed) for name in named for s in SCENARIOS for arm in ARMS for seed in range(seeds)
        )
        if key not in done
    ]
    fits = len(left) * len(TASKS)
    print(
        f"{fits} fits, roughly {fits * effort.seconds / 60:.1f} min on one core", file=sys.stderr, flush=True
    )
    for name, scenario, arm, seed in left:
        rows = digits(seed) if data is None or name == "digits" else fashion(data, seed)
        tasks = tasks_of(rows, scenario)
        told = [
            {"data": name, "scenario": scenario, "arm": arm, "seed": seed, **one}
            for one in sequence(arm, tasks, SCENARIOS[scenario], effort, seed)
        ]
        new = pd.DataFrame(told)
        found = new if found.empty else pd.concat([found, new], ignore_index=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        found.to_csv(path, index=False, float_format="%.5g")
        a = accuracies(new)
        print(
            f"{name} {scenario} {arm} {seed}: {a[-1].mean():.3f}, forgot {forgetting(a):.3f}",
            file=sys.stderr,
            flush=True,
        )
    return found


def main() -> None:
    """Do what is left of the study, and tell it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="fashion_mnist.npz; without it, digits alone")
    parser.add_argument(
        "--quick", action="store_true", help="one seed and a few steps: only to see that it works"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.quick:
        quick = Effort(hidden=8, steps=20, draws=10, seconds=0.3)
        print(markdown(study(Path("out/continual-quick.csv"), arguments.data, 1, quick)))
    else:
        print(markdown(study(RESULTS, arguments.data, SEEDS, Effort())))


if __name__ == "__main__":
    main()
