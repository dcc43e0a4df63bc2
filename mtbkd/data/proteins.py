"""Protein sequences with their subcellular location: a CSV, or an npz in DeepLoc's format.

A CSV has the columns `sequence`, `label` (or `location`), and may have `id` (or `accession`) and `split`
(pool, validation, test, ood); an empty label is an unlabelled row. An npz has `train_sequence`,
`train_label` and `class_names`, and may have the same for `test` and `ood`, `*_accession`, the inner split
`train_fit_index` and `train_val_index`, and predictions `teacher_names` and `*_teacher_logits` `[n, M, K]`.
Row numbers count the rows of a CSV; in an npz the train rows, then the test rows, then the ood rows.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mtbkd.data import localisation_features as localisation
from mtbkd.data import sequence_features as classical
from mtbkd.data.assembly import assemble, standardise
from mtbkd.data.column_treatment import balance, rotate
from mtbkd.data.distillation import DistillationData, Rows
from mtbkd.data.esm_features import esm_features
from mtbkd.data.frames import read_text_csv, require_column
from mtbkd.data.labels import encode_labels
from mtbkd.data.localisation_features import localisation_features
from mtbkd.data.npz import existing, read_npz
from mtbkd.data.sequence_features import classical_features, root_fractions
from mtbkd.data.splits import Split, named_split, stratified_split
from mtbkd.errors import InputError, require_at_least, require_choice, require_fraction

FEATURES = ("classical", "localisation", "esm2")
_PARTS = ("train", "test", "ood")


@dataclass(frozen=True)
class ProteinsConfig:
    """path: `.csv` or `.npz`; features: `classical` (461 columns), `localisation` (911) or `esm2`; views: those that
    teachers may be shown instead; treatment:
    `standard` (every column standardised) or `balanced` (roots of fractions, outliers cut, kinds of columns weighted);
    rotate: onto the pool's principal axes; fit_on: `all` adds the validation rows to the pool; *_fraction: shares
    where the file names no split; esm_*: the language model.
    """

    path: str | None = None
    features: str = "classical"
    views: list[str] = field(default_factory=list)
    treatment: str = "standard"
    rotate: bool = False
    fit_on: str = "fit"
    labelled_fraction: float = 1.0
    validation_fraction: float = 0.1
    test_fraction: float = 0.1
    esm_model: str = "facebook/esm2_t6_8M_UR50D"
    esm_layer: int = -1
    esm_batch_size: int = 8
    esm_max_length: int = 1022
    esm_device: str = "cpu"

    def __post_init__(self) -> None:
        for kind in (self.features, *self.views):
            require_choice("data.features" if kind == self.features else "data.views", kind, FEATURES)
        require_choice("data.treatment", self.treatment, ("standard", "balanced"))
        if self.treatment == "balanced" and self.features == "esm2":
            raise InputError(
                "data.treatment is 'balanced', which knows no kinds of columns in features=esm2; use standard"
            )
        require_choice("data.fit_on", self.fit_on, ("fit", "all"))
        require_fraction(
            labelled_fraction=self.labelled_fraction,
            validation_fraction=self.validation_fraction,
            test_fraction=self.test_fraction,
        )
        require_at_least(1, esm_batch_size=self.esm_batch_size, esm_max_length=self.esm_max_length)


@dataclass(frozen=True)
class _Source:
    """What a file holds; logits: `{teacher: [n, K]}`, known in the rows `with_logits` `[n]`."""

    sequences: np.ndarray
    y: np.ndarray
    ids: np.ndarray
    class_names: tuple[str, ...]
    split: Split
    logits: dict[str, np.ndarray] = field(default_factory=dict)
    with_logits: np.ndarray = field(default_factory=lambda: np.empty(0, bool))


def load(config: ProteinsConfig, seed: int) -> DistillationData:
    """Sequences as features standardised on the pool; `raw` are the sequences, `supplied` the file's logits.

    Raises `InputError` for a missing, truncated or incomplete file, and for a sequence that is empty or holds
    anything but letters.
    """
    path = existing(config.path, "data.path")
    if path.suffix not in (".csv", ".npz"):
        raise InputError(f"data.path: '{path.name}' is neither .csv nor .npz; convert it to one of them")
    source = (_from_npz if path.suffix == ".npz" else _from_csv)(path, config, seed)
    sequences = _checked(source.sequences, source.ids)
    split = source.split
    if config.fit_on == "all":
        pool = np.sort(np.concatenate([split.pool, split.validation]))
        split = replace(split, pool=pool, validation=np.empty(0, np.int64))
    features = _features(sequences, config)
    x = _treated(features, split.pool, config)

    def encode(others: np.ndarray) -> Tensor:
        both = np.concatenate([features, _features(others, config)])
        return torch.from_numpy(_treated(both, split.pool, config)[len(features) :])

    rows = Rows(
        torch.from_numpy(x),
        torch.from_numpy(source.y),
        source.ids,
        torch.arange(len(x)),
        raw=sequences,
        views={kind: _view(sequences, split.pool, config, kind) for kind in config.views},
    )
    data = assemble(
        path.stem,
        rows,
        split,
        source.class_names,
        config.labelled_fraction,
        seed,
        kind="sequence",
        supplied={name: _by_part(z, source.with_logits, split) for name, z in source.logits.items()},
    )
    return replace(data, encode=encode)


def _from_csv(path: Path, config: ProteinsConfig, seed: int) -> _Source:
    frame = read_text_csv(path).fillna("")
    frame.columns = frame.columns.str.strip().str.lower()
    frame = frame.rename(columns={"location": "label", "accession": "id"})
    for column in ("sequence", "label"):
        require_column(frame, column, path, "data.path")
    labels = [label.strip() or None for label in frame["label"]]
    named = named_split(frame["split"].tolist(), f"{path}: column 'split'") if "split" in frame else None
    for row in named.ood if named else ():
        labels[row] = None  # what is out of distribution may have a class of its own
    y, class_names = encode_labels(labels)
    split = named or stratified_split(y, config.validation_fraction, config.test_fraction, seed)
    ids = frame["id"] if "id" in frame else frame.index.astype(str)
    return _Source(np.array(frame["sequence"].tolist()), y, np.array(ids.tolist()), class_names, split)


def _from_npz(path: Path, config: ProteinsConfig, seed: int) -> _Source:
    whats = ("sequence", "label", "accession", "teacher_logits")
    indices = ("train_fit_index", "train_val_index")
    optional = [f"{part}_{what}" for part in _PARTS for what in whats]
    required = ["train_sequence", "train_label", "class_names"]
    file = read_npz(path, required, [*optional, *indices, "teacher_names"])
    sizes = {part: len(file[f"{part}_sequence"]) for part in _PARTS if f"{part}_sequence" in file}
    for name in file.keys() & set(optional):
        part = name.partition("_")[0]
        if len(file[name]) != sizes.get(part, 0):
            raise InputError(
                f"{path}: {name} has {len(file[name])} rows, {part}_sequence {sizes.get(part, 0)}; "
                "write one row a sequence"
            )
    labels = [file.get(f"{part}_label", np.full(n, -1)) for part, n in sizes.items()]
    y, class_names = encode_labels(np.concatenate(labels), file["class_names"].tolist(), f"{path}: label")
    ids = np.arange(len(y)).astype(str)
    if all(f"{part}_accession" in file for part in sizes):
        ids = np.concatenate([file[f"{part}_accession"] for part in sizes])
    train, test = sizes["train"], sizes.get("test", 0)
    if all(name in file for name in indices):
        fit, validation = (_inner_index(file[name], train, f"{path}: {name}") for name in indices)
        if len(np.intersect1d(fit, validation)):
            raise InputError(f"{path}: {' and '.join(indices)} share rows; a row belongs to one of them")
    else:
        inner = stratified_split(y[:train], config.validation_fraction, 0.0, seed)
        fit, validation = inner.pool, inner.validation
    split = Split(fit, validation, train + np.arange(test), np.arange(train + test, len(y)))
    sequences = np.concatenate([file[f"{part}_sequence"] for part in sizes])
    return _Source(sequences, y, ids, class_names, split, *_npz_logits(path, file, sizes, len(class_names)))


def _npz_logits(
    path: Path, file: dict[str, np.ndarray], sizes: dict[str, int], num_classes: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Logits `[n, K]` of each teacher over all rows, and which rows `[n]` have them."""
    teachers = file.get("teacher_names", np.empty(0, str)).tolist()
    blocks, known = [], []
    for part, n in sizes.items():
        shape = (n, len(teachers), num_classes)
        z = file.get(f"{part}_teacher_logits")
        if z is not None and z.shape != shape:
            raise InputError(
                f"{path}: {part}_teacher_logits has shape {z.shape}, not {shape}; "
                "its axes are sequences, teacher_names, class_names"
            )
        blocks.append(np.zeros(shape, np.float32) if z is None else z.astype(np.float32))
        known.append(np.full(n, z is not None))
    logits = np.concatenate(blocks)
    return {name: logits[:, m] for m, name in enumerate(teachers)}, np.concatenate(known)


def _by_part(logits: np.ndarray, known: np.ndarray, split: Split) -> dict[str, Tensor]:
    """Logits `[n, K]` of each part that has rows and knows all of them."""
    parts = {part: getattr(split, part) for part in ("pool", "validation", "test", "ood")}
    return {
        part: torch.from_numpy(logits[rows])
        for part, rows in parts.items()
        if len(rows) and known[rows].all()
    }


def _inner_index(index: np.ndarray, size: int, what: str) -> np.ndarray:
    index = np.sort(index.astype(np.int64))
    if len(index) and not (index[0] >= 0 and index[-1] < size):
        raise InputError(f"{what} reaches from {index[0]} to {index[-1]}; rows are 0..{size - 1}")
    if (np.diff(index) == 0).any():
        raise InputError(f"{what} names row {index[:-1][np.diff(index) == 0][0]} twice; name each row once")
    return index


def _treated(features: np.ndarray, pool: np.ndarray, config: ProteinsConfig) -> np.ndarray:
    """What networks see, `[n, D]` float32, with statistics of the rows `pool` alone."""
    if config.treatment == "standard":
        x = standardise(features, pool)
    elif config.features == "classical":
        x = balance(root_fractions(features), pool, classical.BLOCKS, classical.LIMIT)
    else:
        x = balance(features, pool, localisation.BLOCKS, localisation.LIMIT)
    return rotate(x, pool) if config.rotate else x


def _view(sequences: np.ndarray, pool: np.ndarray, config: ProteinsConfig, kind: str) -> Tensor:
    """Features of another kind, treated alike; a language model's are standardised in any case."""
    treatment = "standard" if kind == "esm2" else config.treatment
    other = replace(config, features=kind, views=[], treatment=treatment)
    return torch.from_numpy(_treated(_features(sequences, other), pool, other))


def _features(sequences: np.ndarray, config: ProteinsConfig) -> np.ndarray:
    if config.features == "classical":
        return classical_features(sequences)
    if config.features == "localisation":
        return localisation_features(sequences)
    return esm_features(
        sequences,
        config.esm_model,
        config.esm_layer,
        config.esm_batch_size,
        config.esm_max_length,
        config.esm_device,
    )


def _checked(sequences: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Upper-case sequences without surrounding blanks and the final `*` of a stop codon."""
    clean = np.array([s.strip().rstrip("*").upper() for s in sequences])
    for row, sequence in enumerate(clean):
        if not (sequence.isascii() and sequence.isalpha()):
            wrong = next((c for c in sequence if not ("A" <= c <= "Z")), None)
            problem = "is empty" if wrong is None else f"holds '{wrong}'"
            raise InputError(
                f"protein '{ids[row]}' (row {row}): its sequence {problem}; give one-letter amino-acid codes"
            )
    return clean
