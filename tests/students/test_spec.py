"""How a built-in network is built again, and that reading a file runs nothing."""

import json

import pytest
import torch
from torch import nn

from mtbkd import registry
from mtbkd.errors import InputError
from mtbkd.students.cnn import CNNConfig, cnn
from mtbkd.students.cnn import build as build_cnn
from mtbkd.students.heads import HeadsConfig
from mtbkd.students.heads import build as build_heads
from mtbkd.students.mlp import MLPConfig, mlp
from mtbkd.students.mlp import build as build_mlp
from mtbkd.students.spec import NetworkSpec

BUILT_IN = {
    "heads": lambda: build_heads(HeadsConfig(heads=2, hidden=[4], activation="silu"), (6,), 3),
    "mlp": lambda: mlp(6, [5], 3, activation="gelu"),
    "mlp of images": lambda: build_mlp(MLPConfig(hidden=[]), (1, 2, 3), 3),
    "cnn": lambda: cnn((1, 4, 4), [8], 3),
    "cnn by configuration": lambda: build_cnn(
        CNNConfig(channels=[6], groups=3, activation="tanh"), (2, 4, 4), 3
    ),
}


@pytest.mark.parametrize("name", list(BUILT_IN))
def test_round_trip_gives_the_same_function(name):
    network = BUILT_IN[name]()
    spec = NetworkSpec.of(network)
    again = NetworkSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert again == spec
    copy = again.build()
    copy.load_state_dict(network.state_dict())
    x = torch.randn(4, *spec.input_shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(copy(x), network(x))


def test_building_leaves_the_global_generator():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    NetworkSpec.of(mlp(6, [5], 3))
    spec = NetworkSpec("mlp", {"hidden": [5]}, (6,), 3)
    before = torch.get_rng_state()
    spec.build()
    assert torch.equal(torch.get_rng_state(), before)


def test_a_users_own_network_has_none():
    assert NetworkSpec.of(nn.Linear(3, 2)) is None


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"name": "mlp"},
        {"name": "mlp", "config": 3, "input_shape": [6], "num_classes": 3},
        {"name": "mlp", "config": {}, "input_shape": ["six"], "num_classes": 3},
    ],
)
def test_damage_is_told(stored):
    with pytest.raises(InputError, match="damaged"):
        NetworkSpec.from_json(stored)


def test_unknown_fields_and_names_are_told():
    with pytest.raises(InputError, match=r"damaged.*depth"):
        NetworkSpec("mlp", {"depth": 3}, (6,), 3).build()
    with pytest.raises(InputError, match="did you mean 'mlp'"):
        NetworkSpec("mlpp", {}, (6,), 3).build()


def test_a_stored_factory_is_not_called():
    """A posterior from elsewhere must not be able to name code to run."""
    stored = {
        "name": "module",
        "config": {"factory": "os:system", "kwargs": {"command": "echo run"}},
        "input_shape": [6],
        "num_classes": 3,
    }
    with pytest.raises(InputError, match="pass network="):
        NetworkSpec.from_json(stored)


def test_every_student_of_the_registry_is_tested_here():
    assert registry.names("student") == ["cnn", "heads", "mlp", "module"]
