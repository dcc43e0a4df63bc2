"""What layers of teachers give at the pool, asked only of the teachers that something is to be learned from so."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from mtbkd.data.distillation import Rows
from mtbkd.errors import InputError, nearest
from mtbkd.layer_outputs import check_layers
from mtbkd.progress import Progress
from mtbkd.teachers.cache import BankCache
from mtbkd.teachers.teacher import HasLayers, Teacher

Layers = Mapping[str, Sequence[str]]


def check_askable(teachers: Sequence[Teacher], layers: Layers) -> None:
    """Raise `InputError` unless each named teacher has these layers, `{teacher: [layer]}`; nothing is trained."""
    by_name = {teacher.name: teacher for teacher in teachers}
    able = [name for name, teacher in by_name.items() if known_layers(teacher)]
    for name, wanted in layers.items():
        if name not in by_name:
            raise InputError(f"features.layers: there is no teacher '{name}'; {nearest(name, by_name)}")
        if name not in able:
            others = f"; of these: {', '.join(able)}" if able else ""
            raise InputError(
                f"features.layers: teacher '{name}' has no layers to learn from; take a teacher of kind torch_module "
                f"or ensemble{others}, or leave it out"
            )
        check_layers(f"teacher '{name}'", known_layers(by_name[name]), wanted)


def ask_features(
    teachers: Sequence[Teacher],
    layers: Layers,
    rows: Rows,
    cache: BankCache,
    progress: Progress | None = None,
) -> dict[str, dict[str, Tensor]]:
    """`{teacher: {layer: [n, F]}}` of the named layers; raises `InputError` as `check_askable` does."""
    check_askable(teachers, layers)
    by_name = {teacher.name: teacher for teacher in teachers}
    return {name: cache.features(by_name[name], rows, list(of), progress) for name, of in layers.items()}


def known_layers(teacher: Teacher) -> tuple[str, ...]:
    """Paths of a teacher's layers; none where it cannot tell what they give."""
    return teacher.layers if isinstance(teacher, HasLayers) else ()
