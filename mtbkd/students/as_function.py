"""A student as a function of its flat weights, for rules that learn while it learns (mtbkd.rules.StudentFunction)."""

import torch
from torch import Tensor

from mtbkd.data.distillation import DistillationData
from mtbkd.rules import StudentFunction, generator_of
from mtbkd.students.student import Student


def as_function(
    student: Student, data: DistillationData, influence: float, temperature: float, seed: int
) -> StudentFunction:
    """The student on the pool, started from its own initial weights by `seed`.

    influence: strength * concentration of the teachers' loss; temperature: of that loss
    """
    x, *_ = student.rows(data)
    shapes = student.skeleton.shapes
    sizes = [shape.numel() for shape in shapes.values()]

    def weights_of(theta: Tensor) -> dict[str, Tensor]:
        parts = theta.split(sizes, -1)
        return {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}

    def logits(theta: Tensor, rows: Tensor) -> Tensor:
        return student.logits(weights_of(theta), rows)

    def log_prior(theta: Tensor) -> Tensor:
        return student.weight_prior.log_prob(student.skeleton, weights_of(theta), x)

    initial = student.initial(generator_of(seed))
    start = torch.cat([initial[name].flatten() for name in shapes])
    return StudentFunction(x, logits, log_prior, start, influence, temperature)
