"""What is written is read again as it was; what is no configuration or plain value is left out."""

import json

import numpy as np
import pytest
import torch

from mtbkd import Student, fit, students
from mtbkd.estimator_file import StoredClassifier, read, write
from mtbkd.inference import HMCConfig, MAPConfig
from mtbkd.weighting.entropy import EntropyConfig


@pytest.fixture(scope="module")
def posterior():
    x = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    student = Student(students.mlp(2, [3], 2))
    return fit(student, (x, torch.tensor([0, 1] * 3)), MAPConfig(steps=2), compiled="never", progress=False)


@pytest.mark.parametrize(
    "classes",
    [
        np.array(["ä", "b"]),
        np.array(["ä", "b"], object),
        np.array([1, 5], np.int8),
        np.array([0.1, 1 / 3]),
        np.array([False, True]),
    ],
    ids=lambda classes: str(classes.dtype),
)
def test_arrays_keep_values_and_kind(classes, posterior, tmp_path):
    fitted = {"classes_": classes, "mean_": np.random.default_rng(0).normal(size=50), "n_features_in_": 50}
    write(tmp_path / "c", StoredClassifier(posterior, fitted, {}))
    again = read(tmp_path / "c").fitted
    assert again["classes_"].dtype == classes.dtype
    for name, value in fitted.items():
        np.testing.assert_array_equal(again[name], value)


def test_parameters_are_plain_values_or_configurations(posterior, tmp_path):
    parameters = {
        "inference": HMCConfig(num_chains=3),
        "weighting": EntropyConfig(),
        "prior": "dirichlet_product",
        "hidden": np.array([4, 5]),
        "classes": range(3),
        "verbose": True,
        "random_state": np.random.RandomState(0),
    }
    write(tmp_path / "c", StoredClassifier(posterior, {}, parameters))
    assert read(tmp_path / "c").parameters == parameters | {
        "hidden": (4, 5),
        "classes": (0, 1, 2),
        "random_state": None,
    }
    json.loads((tmp_path / "c" / "estimator.json").read_text())
