"""An optimisation that runs away says so, and what to lower."""

import pytest
import torch

import mtbkd
from mtbkd.inference import MAPConfig, SVIConfig
from mtbkd.inference.engine import Diverged

X = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
Y = torch.arange(20) % 2


@pytest.mark.parametrize(
    "config",
    [
        MAPConfig(steps=50, learning_rate=1e30),
        SVIConfig(steps=50, learning_rate=1e30, warm_start=0, draws=2),
    ],
)
def test_runaway_is_told(config):
    student = mtbkd.Student(mtbkd.students.mlp(3, [4], 2))
    with pytest.raises(Diverged, match=rf"^{config.name} diverged: .* lower its learning rate \(1e\+30\)"):
        mtbkd.fit(student, (X, Y), config, compiled="never", progress=False)
