"""The bank on disk: each teacher is run once a data set, ever, however many runs ask.

An entry is a folder named by the hash of rows and teacher, with `logits.npy` and `manifest.json`; what a layer of the
teacher gives is an entry of its own, with `features.npy`. Each is there whole or not at all (see cache_entry.py).
"""

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from mtbkd.data.distillation import Rows
from mtbkd.errors import InputError
from mtbkd.progress import Progress
from mtbkd.teachers.bank import TeacherBank, TeacherCost
from mtbkd.teachers.cache_entry import FORMAT, read_entry, write_entry
from mtbkd.teachers.coverage import coverage_of
from mtbkd.teachers.fingerprint import fingerprint, parts_of, table_part
from mtbkd.teachers.teacher import HasLayers, NotCovered, Recipe, Teacher, known_by
from mtbkd.teachers.values import check_features, check_logits

Answer = tuple[Tensor, TeacherCost]


def default_folder() -> Path:
    """`$MTBKD_CACHE`, else `mtbkd` in `$XDG_CACHE_HOME`, else in `~/.cache`."""
    if folder := os.environ.get("MTBKD_CACHE"):
        return Path(folder).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "mtbkd"


class BankCache:
    """Teachers' predictions in a folder that concurrent runs may share."""

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = default_folder() if folder is None else Path(folder).expanduser()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.folder).close()
        except OSError as error:
            raise InputError(
                f"teachers.cache: '{self.folder}' cannot be written ({error.strerror}); set teachers.cache or "
                "the environment variable MTBKD_CACHE to a folder of yours"
            ) from error

    def ask(self, teacher: Teacher, rows: Rows) -> Answer:
        """The teacher's logits `[S, n, K]` at the rows and what it costs, computed only if not stored yet."""
        return self.ask_splits(teacher, {"rows": rows})["rows"]

    def ask_splits(
        self, teacher: Teacher, rows: Mapping[str, Rows], progress: Progress | None = None
    ) -> dict[str, Answer]:
        """The same for several sets of rows; leaves out what the teacher does not cover.

        One process at a time computes for a teacher, so that it is trained once for all of its rows.
        """
        identity = teacher.fingerprint
        entries = {split: self.folder / _key(identity, found) for split, found in rows.items()}
        answers = {split: _read(entry) for split, entry in entries.items()}
        if all(answers.values()):
            return {split: answer for split, answer in answers.items() if answer}
        with FileLock(self.folder / f"{identity}.lock"):
            answers = {split: _read(entry) for split, entry in entries.items()}
            self._fill(answers, teacher, rows, entries, progress or Progress())
        return {split: answer for split, answer in answers.items() if answer}

    def _fill(
        self,
        answers: dict[str, Answer | None],
        teacher: Teacher,
        rows: Mapping[str, Rows],
        entries: Mapping[str, Path],
        progress: Progress,
    ) -> None:
        missing = [split for split, answer in answers.items() if answer is None]
        if not missing:  # another process was faster
            return
        start = time.perf_counter()
        if isinstance(teacher, Recipe):
            teacher.trained(progress)
        training = time.perf_counter() - start
        known: TeacherCost | None = None
        with progress.stage(f"asking {teacher.name}", len(missing)) as advance:
            for split in missing:
                try:
                    logits, known = _run(teacher, rows[split], known, training)
                except NotCovered:
                    continue
                self._write(entries[split], teacher, rows[split], (logits, known))
                answers[split] = _read(entries[split])
                advance()

    def _write(self, entry: Path, teacher: Teacher, rows: Rows, answer: Answer) -> None:
        logits, cost = answer
        write_entry(entry, "logits", logits, _about(teacher, rows) | {"cost": asdict(cost)})

    def features(
        self, teacher: Teacher, rows: Rows, layers: Sequence[str], progress: Progress | None = None
    ) -> dict[str, Tensor]:
        """What layers of the teacher give at the rows, each `[n, F]`, computed only if not stored yet.

        The teacher is one that has these layers (see `mtbkd.teachers.features`).
        """
        identity = teacher.fingerprint
        entries = {
            layer: self.folder / fingerprint(rows=_key(identity, rows), layer=layer) for layer in layers
        }
        found = {layer: _read_features(entry) for layer, entry in entries.items()}
        if any(values is None for values in found.values()):
            with FileLock(self.folder / f"{identity}.lock"):
                found = {layer: _read_features(entry) for layer, entry in entries.items()}
                missing = {layer: entries[layer] for layer, values in found.items() if values is None}
                if missing:  # another process may have been faster
                    found |= self._fill_features(teacher, rows, missing, progress or Progress())
        return {layer: values for layer, values in found.items() if values is not None}

    def _fill_features(
        self, teacher: Teacher, rows: Rows, entries: Mapping[str, Path], progress: Progress
    ) -> dict[str, Tensor | None]:
        if isinstance(teacher, Recipe):
            teacher.trained(progress)
        with progress.stage(f"asking {teacher.name}'s layers", 1) as advance:
            features = cast(HasLayers, teacher).features(rows, list(entries))
            advance()
        for layer, entry in entries.items():
            check_features(f"teacher '{teacher.name}', layer '{layer}'", features[layer], len(rows))
            write_entry(entry, "features", features[layer], _about(teacher, rows) | {"layer": layer})
        return {layer: _read_features(entry) for layer, entry in entries.items()}


def ask_all(
    teachers: Sequence[Teacher], rows: Mapping[str, Rows], cache: BankCache, progress: Progress | None = None
) -> tuple[dict[str, TeacherBank], dict[str, str]]:
    """Banks by split of what all teachers say, and for the splits without a bank why not.

    Every teacher must cover the pool; a split that one of them does not cover has no bank. Raises
    `InputError` for teachers that share a name, do not cover the pool or disagree in shape.
    """
    names = [teacher.name for teacher in teachers]
    if doubled := [name for name in names if names.count(name) > 1]:
        raise InputError(f"two teachers are named '{doubled[0]}'; give each its own name")
    answers: dict[str, dict[str, Answer]] = {}
    for teacher in teachers:
        answers[teacher.name] = cache.ask_splits(teacher, rows, progress)
    banks, missing = {}, {}
    for split, found in rows.items():
        absent = [name for name in names if split not in answers[name]]
        if absent and split == "pool":
            raise InputError(
                f"teacher '{absent[0]}': has no predictions for the pool; add them or leave it out"
            )
        if absent:
            missing[split] = f"no bank for {split}: {', '.join(absent)} without predictions there"
            continue
        said = {name: answers[name][split][0] for name in names}
        num_classes = next(iter(said.values())).shape[-1]
        banks[split] = TeacherBank.from_predictions(
            said,
            rows_hash=found.hash,
            costs=[answers[name][split][1] for name in names],
            classes=coverage_of({teacher.name: known_by(teacher) for teacher in teachers}, num_classes),
        )
    return banks, missing


def _key(identity: str, rows: Rows) -> str:
    # Ids, numbers, raw inputs and views count too: some teachers look rows up by them, or are shown them.
    return fingerprint(
        format=FORMAT,
        teacher=identity,
        x=rows.hash,
        ids=rows.ids,
        index=rows.index,
        raw=rows.raw,
        **parts_of(rows.views),
        **table_part(rows.table),
    )


def _about(teacher: Teacher, rows: Rows) -> dict[str, Any]:
    said = {"teacher": teacher.name, "fingerprint": teacher.fingerprint, "rows_hash": rows.hash}
    return said | {"classes": known_by(teacher)}


def _read(entry: Path) -> Answer | None:
    return read_entry(entry, "logits", lambda logits, manifest: (logits, TeacherCost(**manifest["cost"])))


def _read_features(entry: Path) -> Tensor | None:
    return read_entry(entry, "features", lambda values, manifest: values)


def _run(teacher: Teacher, rows: Rows, known: TeacherCost | None, training: float) -> Answer:
    start = time.perf_counter()
    logits = check_logits(teacher.name, teacher.predict(rows), zeros=True)
    seconds = training + time.perf_counter() - start
    if logits.shape[1] != len(rows):
        raise InputError(
            f"teacher '{teacher.name}': returned {logits.shape[1]} rows for {len(rows)} inputs; "
            "predict must return one row an input, in order"
        )
    if known is None:
        parameters, stored = teacher.size()
        known = TeacherCost(parameters, stored, None if stored is None else _latency(teacher, rows))
    return logits, TeacherCost(known.parameters, known.stored_bytes, known.latency_ms, seconds)


def _latency(teacher: Teacher, rows: Rows) -> float:
    """Median milliseconds for one input, of up to 20 calls in half a second."""
    one = rows.take(torch.zeros(1, dtype=torch.int64))
    teacher.predict(one)
    taken: list[float] = []
    while len(taken) < 20 and sum(taken) < 0.5:
        start = time.perf_counter()
        teacher.predict(one)
        taken.append(time.perf_counter() - start)
    return 1000 * float(np.median(taken))
