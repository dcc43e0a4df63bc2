import pytest
import torch
from torch.nn import functional as F

from mtbkd.errors import InputError
from mtbkd.students.cnn import CNNConfig, build, cnn


def test_layers_by_hand():
    network = cnn((2, 8, 8), [8, 16], 3)
    w = dict(network.named_parameters())
    x = torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    hidden = x
    for conv, norm in ((0, 1), (4, 5)):
        hidden = F.conv2d(hidden, w[f"{conv}.weight"], w[f"{conv}.bias"], padding=1)
        hidden = F.group_norm(hidden, 8, w[f"{norm}.weight"], w[f"{norm}.bias"]).relu()
        hidden = F.max_pool2d(hidden, 2)
    torch.testing.assert_close(network(x), hidden.mean((2, 3)) @ w["10.weight"].T + w["10.bias"])


def test_default_is_about_80_000_weights():
    network = build(CNNConfig(), (1, 28, 28), 10)
    by_hand = (9 * 32 + 32) + (9 * 32 * 64 + 64) + (9 * 64 * 96 + 96) + 2 * (32 + 64 + 96) + 960 + 10
    assert sum(p.numel() for p in network.parameters()) == by_hand == 75_562


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"channels": [12]}, "12 is not a multiple of student.groups = 8"),
        ({"channels": []}, "channels is empty"),
        ({"channels": [0]}, "student.channels is 0"),
        ({"groups": 0}, "groups"),
        ({"activation": "swish"}, "activation"),
        ({"prior_scale": 0.0}, "prior_scale is 0"),
    ],
)
def test_bad_configurations_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        CNNConfig(**given)


def test_inputs_that_are_not_images_or_too_small_are_refused():
    with pytest.raises(InputError, match=r"takes images \[C, H, W\]; the inputs have shape \[64\]"):
        build(CNNConfig(), (64,), 10)
    with pytest.raises(InputError, match=r"needs 8 pixels a side; the images are 4 x 9"):
        build(CNNConfig(channels=[8, 8, 8]), (1, 4, 9), 10)
