"""Teachers: the protocol, adapters that turn models and files into logits, the bank and its cache."""

from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from mtbkd.errors import require_choice
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

    name: of the set; members: `{name: {kind: ..., the fields of the kind}}`, empty: all that came with the data
    select: `all` teachers are heard, or those that held-out labels show to add something (`auto`, see selection.py)
    cache: folder of the bank, None for the default; trusted: further types that skops files may hold
    """

    name: str = "supplied"
    members: dict[str, Any] | None = None
    select: str = "all"
    cache: str | None = None
    trusted: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        require_choice("teachers.select", self.select, ("all", "auto"))


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"mtbkd.teachers.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'mtbkd.teachers' has no attribute '{name}'")
