"""Teachers are heard by their predictions alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from mtbkd.teachers.bank import TeacherBank


@dataclass(frozen=True)
class NoneConfig:
    """Nothing to choose."""

    name: str = "none"

    @property
    def pairs(self) -> Mapping[str, Mapping[str, str]]:
        """No layer of any teacher."""
        return {}


def build(config: NoneConfig, bank: TeacherBank) -> None:
    """No feature transfer."""
