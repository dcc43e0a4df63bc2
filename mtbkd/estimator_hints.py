"""Hints of a classifier: layers of its torch teachers that layers of its student are drawn to."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from mtbkd import registry
from mtbkd.data.distillation import Rows
from mtbkd.features.transfer import FeatureTransfer
from mtbkd.students.student import Student
from mtbkd.teachers.bank import TeacherBank
from mtbkd.teachers.estimator import EstimatorTeacher
from mtbkd.teachers.features import check_askable
from mtbkd.teachers.given import is_fitted
from mtbkd.teachers.teacher import Teacher
from mtbkd.teachers.torch_module import TorchTeacher


def check_layers(config: Any, teachers: Mapping[str, Any], student: Student, rows: Rows) -> None:
    """Raise `InputError` for a teacher or layer, of teachers and student, that is not there; before any training.

    rows: of the pool, as the student sees them
    """
    check_askable([_as_teacher(name, one) for name, one in teachers.items()], config.pairs)
    wanted = [path for layers in config.pairs.values() for path in layers.values()]
    student.skeleton.widths(rows.x[:2], list(dict.fromkeys(wanted)))


def build_hints(
    config: Any, teachers: Mapping[str, Any], bank: TeacherBank, rows: Rows
) -> FeatureTransfer | None:
    """What the configured layers of the teachers give at the pool's rows, as teachers see them; None without any."""
    said: dict[str, Any] = {}
    for name, layers in config.pairs.items():
        teacher: Any = _as_teacher(name, teachers[name])
        said[name] = teacher.features(rows, list(layers))
    method = registry.find("features", type(config).__module__.rpartition(".")[2])
    hints: FeatureTransfer | None = method.build(config, bank.with_features(said))
    return hints


def _as_teacher(name: str, teacher: Any) -> Teacher:
    if isinstance(teacher, nn.Module):
        return TorchTeacher(name, teacher)
    estimator = hasattr(teacher, "predict_proba") or not is_fitted(teacher)
    return EstimatorTeacher(name, teacher, 0) if estimator else teacher
