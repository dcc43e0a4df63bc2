"""Teachers: the protocol, adapters that turn models and files into logits, the bank and its cache."""

from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from mtbkd.errors import InputError, require_choice
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
    select: `all` teachers are heard, or those that held-out labels show to add something (`auto`, see selection.py)
    cache: folder of the bank, None for the default; trusted: further types that skops files may hold
    """

    name: str = "supplied"
    members: dict[str, Any] | None = None
    files: list[str] = field(default_factory=list)
    select: str = "all"
    cache: str | None = None
    trusted: list[str] = field(default_factory=list)

    @property
    def all_members(self) -> dict[str, Any]:
        """Those of files, then the others; raises `InputError` where two have one name."""
        found: dict[str, Any] = {}
        for path in self.files:
            name = Path(path).stem
            if name in found or name in (self.members or {}):
                raise InputError(
                    f"teachers.files: '{path}' is a second teacher called '{name}'; rename the file, or name it in "
                    f"teachers.members: {{kind: skops_file, path: {path}}}"
                )
            found[name] = {"kind": "skops_file", "path": path}
        return found | (self.members or {})

    def __post_init__(self) -> None:
        require_choice("teachers.select", self.select, ("all", "auto"))


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"mtbkd.teachers.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'mtbkd.teachers' has no attribute '{name}'")
