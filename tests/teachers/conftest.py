"""The digits, small, as the teachers' tests use them."""

import pytest
import torch

from mtbkd.data.digits import DigitsConfig, load
from mtbkd.data.distillation import DistillationData


@pytest.fixture(scope="session")
def digits() -> DistillationData:
    return load(DigitsConfig(), seed=0)


@pytest.fixture(scope="session")
def digit_images() -> DistillationData:
    return load(DigitsConfig(image=True), seed=0)


@pytest.fixture
def accuracy(digits):
    """Share of test digits that a teacher's mean prediction names rightly."""

    def of(teacher) -> float:
        z = teacher.predict(digits.test)
        p = torch.softmax(z, -1)
        mean = p.mean(0) if p.ndim == 3 else p
        return (mean.argmax(-1) == digits.test.y).float().mean().item()

    return of
