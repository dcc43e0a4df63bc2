"""Teachers: the protocol, adapters that turn models and files into logits, the bank and its cache."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from mtbkd.errors import InputError, nearest, require_choice
from mtbkd.teachers.bank import TeacherBank, TeacherCost
from mtbkd.teachers.teacher import Teacher

__all__ = [
    "BankCache",
    "EstimatorTeacher",
    "PredictiveTeacher",
    "Teacher",
    "TeacherBank",
    "TeacherCost",
    "TeachersConfig",
    "TorchEnsembleTeacher",
    "TorchTeacher",
    "ask_all",
    "build_teachers",
]

# Imported when first asked for, so that `import mtbkd` stays light.
_LAZY = {
    "BankCache": "cache",
    "EstimatorTeacher": "estimator",
    "PredictiveTeacher": "saved_posterior",
    "TorchEnsembleTeacher": "torch_module",
    "TorchTeacher": "torch_module",
    "ask_all": "cache",
    "build_teachers": "assembly",
}


@dataclass(frozen=True)
class TeachersConfig:
    """A set of teachers. It lives here because each Config in a module of this package is a kind of teacher.

    name: of the set; members: `{name: {kind: ..., the fields of the kind}}`; files: skops files, each a teacher called
        as its file; with neither, all that came with the data
    only: names of those that are asked, empty: all
    select: `all` of these are heard, or those that held-out labels show to add something (`auto`, see selection.py)
    cache: folder of the bank, None for the default; trusted: further types that skops files may hold
    """

    name: str = "supplied"
    members: dict[str, Any] | None = None
    files: list[str] = field(default_factory=list)
    only: list[str] = field(default_factory=list)
    select: str = "all"
    cache: str | None = None
    trusted: list[str] = field(default_factory=list)

    @property
    def all_members(self) -> dict[str, Any]:
        """Those of files, then the others, of all that are asked; raises `InputError` where two have one name."""
        found: dict[str, Any] = {}
        for path in self.files:
            name = Path(path).stem
            if name in found or name in (self.members or {}):
                raise InputError(
                    f"teachers.files: '{path}' is a second teacher called '{name}'; rename the file, or name it in "
                    f"teachers.members: {{kind: skops_file, path: {path}}}"
                )
            found[name] = {"kind": "skops_file", "path": path}
        found |= self.members or {}
        return {name: found[name] for name in self.asked(found)}

    def asked(self, names: Iterable[str]) -> list[str]:
        """Those of `only`, in the order of these names; raises `InputError` for one that is not among them."""
        known = list(names)
        for name in self.only if known else ():
            if name not in known:
                raise InputError(f"teachers.only: no teacher is called '{name}'; {nearest(name, known)}")
        return [name for name in known if name in self.only] if self.only else known

    def __post_init__(self) -> None:
        require_choice("teachers.select", self.select, ("all", "auto"))


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"mtbkd.teachers.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'mtbkd.teachers' has no attribute '{name}'")
