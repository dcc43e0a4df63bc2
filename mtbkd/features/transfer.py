"""Feature transfer as a part of the student's posterior: Gaussian factors on named layers, their projectors latent.

    sum_i sum_m -(strength / 2) ||P_m h_m(x_i) - f_m(x_i)||^2 / F_m,    P_m ~ N(0, projector_scale^2 / H_m)

f_m `[F_m]`: what a layer of teacher m gives at the input, every feature standardised over the pool; h_m `[H_m]`: what
the student's layer gives there in the same forward pass; P_m `[F_m, H_m]`: the projector.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from mtbkd.errors import InputError, nearest, require_at_least, require_positive
from mtbkd.teachers.bank import TeacherBank
from mtbkd.teachers.standardised import standardised

# What the names of projectors' sites begin with.
PROJECTOR = "projector."


@dataclass(frozen=True)
class Hint:
    """One teacher layer and the student layer that is drawn to it.

    name: of its projector's site `projector.NAME` and of its factor `teachers.features.NAME`
    width: F, features of the teacher's layer
    """

    name: str
    student_layer: str
    width: int

    @property
    def projector(self) -> str:
        """Site of the projector."""
        return f"{PROJECTOR}{self.name}"

    @property
    def factor(self) -> str:
        """Site of the factor."""
        return f"teachers.features.{self.name}"


class FeatureTransfer:
    """Which student layers are drawn to which teacher layers, and how strongly (equation above).

    bank: holds the features that `layers` names, of the pool's rows (`TeacherBank.with_features`)
    layers: `{teacher: {its layer: the student's layer}}`
    strength: alpha of each hint; projector_scale: standard deviation of a projector's weights times sqrt(H)
    tensors: the standardised features by hint, each `[N, F]`: inputs of the compiled graph, as the prior's are

    Raises `InputError` where there is no layer, or one that the bank has no features of or that does not vary.
    """

    def __init__(
        self,
        bank: TeacherBank,
        layers: Mapping[str, Mapping[str, str]],
        strength: float = 1.0,
        projector_scale: float = 1.0,
    ) -> None:
        require_at_least(0, strength=strength)
        require_positive(projector_scale=projector_scale)
        if not any(layers.values()):
            raise InputError("features.layers is empty; write {teacher: {its layer: the student's layer}}")
        self.strength = strength
        self.projector_scale = projector_scale
        self.num_rows = bank.num_rows
        self.rows_hash = bank.rows_hash
        self.tensors: dict[str, Tensor] = {}
        hints = []
        for teacher, pairs in layers.items():
            for layer, student_layer in pairs.items():
                values = standardised(f"teacher '{teacher}', layer '{layer}'", held(bank, teacher, layer))
                name = site_name(teacher, layer)
                if name in self.tensors:
                    raise InputError(
                        f"features.layers: '{name}' would name two hints; call teacher '{teacher}' something else"
                    )
                self.tensors[name] = values
                hints.append(Hint(name, student_layer, values.shape[1]))
        self.hints = tuple(hints)

    @property
    def student_layers(self) -> tuple[str, ...]:
        """The student's layers that are drawn, each once."""
        return tuple(dict.fromkeys(hint.student_layer for hint in self.hints))

    def score(self, projected: Tensor, target: Tensor) -> Tensor:
        """`-(strength / 2) ||P h - f||^2 / F` of projected features and the teacher's, `[..., n, F]` -> `[..., n]`."""
        return -0.5 * self.strength * (projected - target).square().mean(-1)


def site_name(teacher: str, layer: str) -> str:
    """A name that Pyro's guides, netCDF and file formats all take: `TEACHER.LAYER`, of each only word characters."""
    return ".".join(re.sub(r"\W", "_", part) for part in (teacher, layer))


def held(bank: TeacherBank, teacher: str, layer: str) -> Tensor:
    """The features that a bank holds of a teacher's layer."""
    if teacher not in bank.features:
        raise InputError(
            f"features.layers: the bank has no features of teacher '{teacher}'; {nearest(teacher, bank.features)}"
        )
    if layer not in bank.features[teacher]:
        raise InputError(
            f"features.layers: the bank has no features of layer '{layer}' of teacher '{teacher}'; "
            f"{nearest(layer, bank.features[teacher])}"
        )
    return bank.features[teacher][layer]
