"""`import mtbkd` and the engines need torch and Pyro alone."""

import subprocess
import sys

HEAVY = (
    "arviz",
    "matplotlib",
    "hydra",
    "omegaconf",
    "sklearn",
    "pandas",
    "pyarrow",
    "skops",
    "transformers",
    "rich",
)

SCRIPT = f"""
import sys
import mtbkd
heavy = {HEAVY}
loaded = [name for name in heavy if name in sys.modules]
assert not loaded, f"import mtbkd loads {{loaded}}"
import torch
x, y = torch.randn(8, 3), torch.arange(8) % 2
bank = mtbkd.TeacherBank.from_logits({{"a": torch.randn(8, 2), "b": torch.randn(8, 2)}}, inputs=x)
prior = mtbkd.priors.DirichletMixture(bank, mtbkd.weighting.entropy(bank))
student = mtbkd.Student(mtbkd.students.mlp(3, [2], 2), prior)
from mtbkd.inference import HMCConfig
config = HMCConfig(num_chains=2, warmup=20, draws=2, warm_start=2, max_leapfrogs=2)
mtbkd.fit(student, (x, y), config, progress=False).predict(x).mean
loaded = [name for name in heavy if name in sys.modules]
assert not loaded, f"fit loads {{loaded}}"
assert all(hasattr(mtbkd, name) for name in mtbkd.__all__ if name not in mtbkd.LAZY)
print("light")
"""


def test_import_and_fit_are_light():
    result = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120)
    assert result.stdout.strip() == "light", result.stderr


def test_every_public_name_is_there_and_told():
    import mtbkd

    for name in mtbkd.__all__:
        assert getattr(mtbkd, name).__doc__
    assert set(mtbkd.LAZY) <= set(mtbkd.__all__)
