"""Teachers: the protocol, adapters that turn models and files into logits, the bank and its cache."""

from mtbkd.teachers.bank import TeacherBank, TeacherCost
from mtbkd.teachers.teacher import Teacher

__all__ = ["Teacher", "TeacherBank", "TeacherCost"]
