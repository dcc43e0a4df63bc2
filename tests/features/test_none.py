"""Without feature transfer no teacher is asked for its layers, and the student has no projector."""

import torch

from mtbkd.features.none import NoneConfig, build
from mtbkd.students import Student, mlp
from mtbkd.teachers.bank import TeacherBank


def test_nothing_is_asked_and_nothing_is_made():
    bank = TeacherBank.from_logits({"a": torch.zeros(4, 3)})
    assert NoneConfig().pairs == {}
    hints = build(NoneConfig(), bank)
    student = Student(mlp(2, [3], 3), hints=hints)
    assert student.captured == ()
    assert student.bayesian == list(student.skeleton.shapes)
