import pytest
import torch
from torch import nn

from mtbkd.errors import InputError
from mtbkd.students.mlp import MLPConfig, build, mlp


def test_layers_by_hand():
    network = mlp(3, [4, 5], 2, activation="tanh")
    w = dict(network.named_parameters())
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    hidden = torch.tanh(torch.tanh(x @ w["0.weight"].T + w["0.bias"]) @ w["2.weight"].T + w["2.bias"])
    torch.testing.assert_close(network(x), hidden @ w["4.weight"].T + w["4.bias"])
    assert sum(p.numel() for p in network.parameters()) == 3 * 4 + 4 + 4 * 5 + 5 + 5 * 2 + 2


def test_no_hidden_layer_is_softmax_regression():
    assert [type(layer) for layer in mlp(3, [], 2)] == [nn.Linear]


@pytest.mark.parametrize(
    ("name", "layer"), [("tanh", nn.Tanh), ("relu", nn.ReLU), ("silu", nn.SiLU), ("gelu", nn.GELU)]
)
def test_activation_is_the_named_one(name, layer):
    assert isinstance(mlp(3, [4], 2, activation=name)[1], layer)


def test_images_are_flattened():
    network = build(MLPConfig(hidden=[4]), (1, 2, 3), 2)
    x = torch.randn(5, 1, 2, 3)
    torch.testing.assert_close(network(x), network(x.reshape(5, 6)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"hidden": [4, 0]}, "student.hidden is 0"),
        ({"activation": "tahn"}, "did you mean 'tanh'"),
        ({"prior_scale": -1.0}, "prior_scale is -1"),
        ({"prior_kind": "fan"}, "prior_kind"),
    ],
)
def test_bad_configurations_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        MLPConfig(**given)
