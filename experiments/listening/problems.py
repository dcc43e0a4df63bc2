"""The data sets of the study, with what each engine is given there: nothing of it is chosen on test rows.

Settings are the toolkit's defaults, those of README's runs (chosen there on validation rows), or smaller for the sake
of time; they are the same for all ways of listening.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Of a run, whatever it is of: no page, no comparison students, threads that leave other runs alone.
EVERYWHERE = ("report=none", "baseline=none", "threads=1")
EAGER = "compile=never"
# Compiled once for a sweep, and read from the compiler's cache by its other runs: two thirds of the eager time.
COMPILED = "compile=always"
QUICK = {
    "map": ("inference.steps=400",),
    "svi": ("inference.warm_start=300", "inference.steps=400", "inference.draws=50"),
    "hmc": (
        "inference.warm_start=200",
        "inference.num_chains=2",
        "inference.warmup=30",
        "inference.draws=30",
        "inference.max_leapfrogs=8",
    ),
}
QUICK_SECONDS = {"map": 2.5, "svi": 4.0, "hmc": 5.0}


@dataclass(frozen=True)
class Problem:
    """Data, teachers and student.

    words: of the command; engines: what each one is given besides, with the seconds of a run on one thread, about
    heads: of a student with a head a teacher; None where the student is no perceptron
    """

    name: str
    title: str
    words: tuple[str, ...]
    engines: Mapping[str, tuple[tuple[str, ...], float]]
    heads: int | None = 3

    def with_engine(self, engine: str, quick: bool) -> tuple[tuple[str, ...], float]:
        """All words of a run with the engine, and its seconds."""
        own, seconds = self.engines[engine]
        if quick:
            own, seconds = (*QUICK[engine], EAGER), QUICK_SECONDS[engine]
        return (*self.words, *EVERYWHERE, f"inference={engine}", *own), seconds


SHORT_CHAINS = (
    "inference.num_chains=4",
    "inference.warmup=200",
    "inference.draws=200",
    "inference.max_leapfrogs=64",
)
SMALL: Mapping[str, tuple[tuple[str, ...], float]] = {
    "map": ((EAGER,), 3.0),
    "svi": ((COMPILED,), 8.0),
    "hmc": (SHORT_CHAINS, 60.0),
}
DIGITS = Problem(
    "digits",
    "digits, 5 % of the labels",
    ("data=digits", "data.labelled_fraction=0.05", "teachers=digits_trio"),
    SMALL,
)
BREAST_CANCER = Problem(
    "breast_cancer",
    "breast cancer, 10 % of the labels",
    ("data=breast_cancer", "teachers=table_trio"),
    SMALL,
)
IMBALANCED = Problem(
    "imbalanced", "a rare class, 2 % of the rows", ("data=imbalanced", "teachers=table_trio"), SMALL
)


def proteins(folder: Path) -> Problem:
    """DeepLoc's proteins with the two language models that came with them, as in conf/experiment/proteins.yaml."""
    words = (
        "data=proteins",
        f"data.path={folder / 'deeploc2_mtbkd.npz'}",
        "data.treatment=balanced",
        "data.rotate=true",
        "teachers=supplied",
        "student.hidden=[32]",
        "student.activation=silu",
        "student.prior_scale=1.6",
    )
    svi = ("inference.steps=800", "inference.learning_rate=0.02", "inference.warm_start=150")
    hmc = (
        "inference.num_chains=4",
        "inference.warmup=80",
        "inference.draws=80",
        "inference.max_leapfrogs=32",
    )
    engines: dict[str, tuple[tuple[str, ...], float]] = {
        "map": (("inference.steps=400", EAGER), 8.0),
        "svi": ((*svi, "inference.draws=100", COMPILED), 15.0),
        "hmc": ((*hmc, "inference.accept=0.7", "inference.warm_start=150"), 120.0),
    }
    return Problem("proteins", "proteins, two language models", words, engines, heads=2)


def fashion(folder: Path) -> Problem:
    """A subset of Fashion-MNIST with MNIST as what it never saw; HMC and SVI of the last layer alone."""
    words = (
        "data=images",
        f"data.path={folder / 'fashion_mnist.npz'}",
        f"data.ood_path={folder / 'mnist.npz'}",
        "data.train_size=6000",
        "data.test_size=2000",
        "data.labelled_fraction=0.1",
        "teachers=images_trio",
        "student=cnn",
        "student.channels=[16,32,32]",
    )
    last = "student.bayesian=last"
    svi = (last, "inference.warm_start=800", "inference.steps=800", "inference.draws=50")
    hmc = (last, "inference.warm_start=800", "inference.warm_start_batch_size=128")
    engines: dict[str, tuple[tuple[str, ...], float]] = {
        "map": (("inference.steps=800", "inference.batch_size=128"), 60.0),
        "svi": ((*svi, "inference.batch_size=128"), 120.0),
        "hmc": ((*hmc, *SHORT_CHAINS), 150.0),
    }
    return Problem(
        "fashion_mnist", "Fashion-MNIST, 5,400 images, 10 % of the labels", words, engines, heads=None
    )
