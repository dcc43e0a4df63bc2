"""What every benchmark runs on: the digits posterior, or one of any size made of random numbers.

    python -m experiments.benchmarks.problem digits.npz      # keep it, for a machine without scikit-learn

The digits are the main job's own: 1,437 pool rows of which 20 % are labelled, and its three teachers as a run trains
them. A random problem has the shapes and none of the meaning: it serves where time alone is asked for.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import mtbkd
from mtbkd.errors import InputError

HELD_OUT = 100


@dataclass(frozen=True)
class Problem:
    """Inputs, labels and what three teachers say.

    x: `[N, ...]`; y: `[N]`, -1 where unlabelled; teachers: logits `[S_m, N, K]` by name, draws of a Bayesian one
    held_x, held_y: `[Q, ...]`, `[Q]`, inputs that nothing was fitted to, and their classes
    """

    name: str
    x: Tensor
    y: Tensor
    teachers: dict[str, Tensor]
    held_x: Tensor
    held_y: Tensor

    @property
    def num_classes(self) -> int:
        """K."""
        return next(iter(self.teachers.values())).shape[-1]

    def student(self, network: torch.nn.Module) -> mtbkd.Student:
        """The student of these teachers: entropy weights, Dirichlet mixture, weight prior 3 / sqrt(fan-in)."""
        bank = mtbkd.TeacherBank.from_predictions(self.teachers)
        prior = mtbkd.priors.DirichletMixture(bank, mtbkd.weighting.entropy(bank))
        return mtbkd.Student(network, prior)

    def mlp(self, hidden: Sequence[int]) -> mtbkd.Student:
        """The student with these hidden widths."""
        return self.student(mtbkd.students.mlp(self.x[0].numel(), list(hidden), self.num_classes))

    def mean_probs(self) -> Tensor:
        """What plain distillation learns from: the teachers' mean probabilities, `[N, K]`."""
        return mtbkd.TeacherBank.from_predictions(self.teachers).mean_probs().mean(0)

    def save(self, path: str | Path) -> None:
        """One npz file."""
        arrays = {
            "x": self.x,
            "y": self.y,
            "held_x": self.held_x,
            "held_y": self.held_y,
        } | {f"teacher_{name}": logits for name, logits in self.teachers.items()}
        np.savez(path, name=np.array(self.name), **{key: value.numpy() for key, value in arrays.items()})

    @classmethod
    def load(cls, path: str | Path) -> "Problem":
        """What `save` wrote."""
        with np.load(path) as file:
            found = {key: torch.from_numpy(file[key]) for key in file.files if key != "name"}
            name = str(file["name"])
        teachers = {
            key.removeprefix("teacher_"): value for key, value in found.items() if key.startswith("teacher_")
        }
        return cls(name, found["x"], found["y"], teachers, found["held_x"], found["held_y"])


def digits() -> Problem:
    """The main job's data and teachers, by the pipeline itself; the first 100 test rows are held out."""
    try:
        from hydra import compose, initialize_config_dir

        from mtbkd.cli import conf_folder
        from mtbkd.configuration import resolve
        from mtbkd.problem import ask, prepare
        from mtbkd.progress import Progress

        with initialize_config_dir(str(conf_folder()), version_base="1.3"):
            config = resolve(compose("config"))
        found = ask(config, prepare(config), Progress())
    except ImportError as error:
        raise InputError(
            f"the digits posterior needs {error.name}; make it where that is installed (python -m "
            "experiments.benchmarks.problem digits.npz) and pass --problem digits.npz"
        ) from error
    bank, test = found.banks["pool"], found.data.test
    teachers = dict(zip(bank.names, bank.predictions, strict=True))
    pool = found.data.pool
    return Problem("digits", pool.x, pool.y, teachers, test.x[:HELD_OUT], test.y[:HELD_OUT])


def made_up(
    num_rows: int,
    shape: tuple[int, ...] = (64,),
    num_classes: int = 10,
    held_out: int = HELD_OUT,
    seed: int = 0,
) -> Problem:
    """Normal inputs, a fifth of them labelled at random, three teachers of whom one is Bayesian."""
    rng = torch.Generator().manual_seed(seed)
    y = torch.randint(num_classes, (num_rows,), generator=rng)
    y[torch.rand(num_rows, generator=rng) > 0.2] = -1

    def logits(draws: int) -> Tensor:
        return 2 * torch.randn(draws, num_rows, num_classes, generator=rng)

    return Problem(
        "made up",
        torch.randn(num_rows, *shape, generator=rng),
        y,
        {"nets": logits(3), "forest": logits(1), "svm": logits(1)},
        torch.randn(held_out, *shape, generator=rng),
        torch.randint(num_classes, (held_out,), generator=rng),
    )


def given_or_digits(path: str | None) -> Problem:
    """The problem in a file, or the digits."""
    return digits() if path is None else Problem.load(path)


def main() -> None:
    parser = argparse.ArgumentParser(description="keep the digits posterior in a file")
    parser.add_argument("path", help="npz file to write")
    digits().save(parser.parse_args().path)


if __name__ == "__main__":
    main()
