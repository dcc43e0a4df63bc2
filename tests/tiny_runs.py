"""Runs small enough for tests: a table of 60 rows, teachers given as predictions, engines of a few steps."""

from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from mtbkd.cli import conf_folder
from mtbkd.configuration import RunConfig, resolve

CLASSES = ("ant", "bee", "cow")
ROWS = 60

STOCHASTIC_GRADIENT = [
    "inference.warmup=5",
    "inference.draws=6",
    "inference.thin=2",
    "inference.warm_start=10",
]

# A few steps of each engine; one that is not named here runs with its defaults.
FEW_STEPS = {
    "map": ["inference.steps=20"],
    "ensemble": ["inference.steps=20", "inference.num_members=2"],
    "svi": ["inference.steps=40", "inference.warm_start=10", "inference.draws=6"],
    "hmc": [
        "inference.num_chains=2",
        "inference.warmup=20",
        "inference.draws=6",
        "inference.max_leapfrogs=3",
        "inference.warm_start=10",
    ],
    "sgld": [*STOCHASTIC_GRADIENT, "inference.num_chains=2"],
    "sghmc": [*STOCHASTIC_GRADIENT, "inference.num_chains=2"],
    "cyclical": [*STOCHASTIC_GRADIENT, "inference.num_chains=2", "inference.cycles=2"],
    "sgld_mtbkd": STOCHASTIC_GRADIENT,
    "laplace": ["inference.warm_start=10", "inference.draws=5"],
    "nuts": [
        "inference.num_chains=2",
        "inference.warmup=4",
        "inference.draws=4",
        "inference.max_tree_depth=2",
        "inference.warm_start=10",
    ],
    "pyro_svi": ["inference.steps=20", "inference.warm_start=10", "inference.draws=5"],
}


def write_table(folder: Path, labelled: bool = True) -> Path:
    """`animals.csv`: two features, of which the first tells the three classes apart, and the label."""
    rng = np.random.default_rng(0)
    y = np.arange(ROWS) % 3
    x = rng.normal(size=(ROWS, 2)) + 3 * y[:, None] * [1, 0]
    lines = [f"{a:.4f},{b:.4f},{CLASSES[k] if labelled else ''}" for (a, b), k in zip(x, y, strict=True)]
    path = folder / "animals.csv"
    path.write_text("\n".join(["length,weight,label", *lines]) + "\n")
    return path


def write_teacher(folder: Path, name: str, sharpness: float, draws: int = 0) -> Path:
    """Logits of every row of the table: the true class is `sharpness` above the others, plus noise."""
    rng = np.random.default_rng(len(name))
    logits = sharpness * np.eye(3)[np.arange(ROWS) % 3]
    shape = (draws, ROWS, 3) if draws else (ROWS, 3)
    path = folder / f"{name}.npz"
    np.savez(path, logits=(logits + 0.5 * rng.normal(size=shape)).astype(np.float32))
    return path


def tiny_overrides(folder: Path, inference: str = "map", labelled: bool = True) -> list[str]:
    """The command's words for a run on the table with two teachers, one of them Bayesian."""
    table = write_table(folder, labelled)
    sharp, drawn = write_teacher(folder, "sharp", 3.0), write_teacher(folder, "drawn", 2.0, draws=4)
    return [
        "data=table",
        f"data.path={table}",
        "data.target=label",
        "data.labelled_fraction=0.5",
        "teachers=predictions",
        f"teachers.members.first.path={sharp}",
        "teachers.members.first.values=logits",
        f"+teachers.members.drawn={{kind:predictions,path:'{drawn}',values:logits}}",
        f"teachers.cache={folder / 'cache'}",
        "student.hidden=[4]",
        f"inference={inference}",
        *FEW_STEPS.get(inference, []),
        "compile=never",
    ]


def composed(*overrides: str) -> DictConfig:
    """What Hydra composes from the command's words."""
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return compose("config", overrides=list(overrides))


def resolved(*overrides: str) -> RunConfig:
    """The typed configuration of the command's words."""
    return resolve(composed(*overrides))


def write_images(folder: Path) -> Path:
    """`shapes.npz`: 8 x 8 images of three classes, told apart by which third of the rows is bright."""
    rng = np.random.default_rng(1)

    def images(n: int) -> tuple[np.ndarray, np.ndarray]:
        y = np.arange(n) % 3
        x = rng.integers(0, 60, (n, 8, 8))
        for image, k in zip(x, y, strict=True):
            image[3 * k : 3 * k + 2] += 180
        return x.astype(np.uint8), y.astype(np.uint8)

    path = folder / "shapes.npz"
    arrays = dict(zip(("x_train", "y_train", "x_test", "y_test"), (*images(60), *images(30)), strict=True))
    np.savez(path, **arrays)
    return path


def write_proteins(folder: Path) -> Path:
    """`proteins.npz` in DeepLoc's format: sequences of three classes with two teachers' logits, none for ood."""
    rng = np.random.default_rng(2)
    arrays: dict[str, np.ndarray] = {"class_names": np.array(CLASSES), "teacher_names": np.array(["a", "b"])}
    for part, n in (("train", 36), ("test", 15), ("ood", 9)):
        y = np.arange(n) % 3
        letters = [rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), size=50) for _ in range(n)]
        for word, k in zip(letters, y, strict=True):
            word[:20] = "ADE"[k]
        arrays[f"{part}_sequence"] = np.array(["".join(word) for word in letters])
        arrays[f"{part}_label"] = y
        arrays[f"{part}_accession"] = np.array([f"{part}{i}" for i in range(n)])
        if part != "ood":
            arrays[f"{part}_teacher_logits"] = (
                3 * np.eye(3)[y][:, None] + rng.normal(size=(n, 2, 3))
            ).astype(np.float32)
    arrays |= {"train_fit_index": np.arange(27), "train_val_index": np.arange(27, 36)}
    path = folder / "proteins.npz"
    np.savez(path, **arrays)
    return path
