"""What hooks capture, against layers applied by hand."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from user_networks import Attentive, Recurrent, Signal

from mtbkd.errors import InputError
from mtbkd.layer_outputs import capturing, check_layers, features_of, layer_paths

X = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))


def hooks_of(network: nn.Module) -> int:
    return sum(len(part._forward_hooks) for part in network.modules())


def perceptron() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(inplace=True), nn.Linear(5, 3))


def test_layers_are_what_they_gave_and_hooks_are_taken_off():
    network = perceptron()
    with capturing(network, ["0", "1", "2"], len(X)) as found:
        logits = network(X)
    linear = X @ network[0].weight.T + network[0].bias
    torch.testing.assert_close(found["0"], linear, msg="before the ReLU, which works in place")
    torch.testing.assert_close(found["1"], linear.clamp(min=0))
    torch.testing.assert_close(found["2"], logits)
    assert hooks_of(network) == 0
    assert layer_paths(network) == ("0", "1", "2")


def test_hooks_are_taken_off_after_an_error():
    network = perceptron()
    with pytest.raises(RuntimeError), capturing(network, ["0"], 4):
        network(X[:, :5])
    assert hooks_of(network) == 0


def test_maps_are_averaged_over_their_positions():
    torch.manual_seed(0)
    two = nn.Sequential(nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 4, 2), nn.Flatten(), nn.Linear(8, 3))
    got = features_of(two, [X], ["1"])["1"]
    torch.testing.assert_close(got, two[:2](X).mean((2, 3)).detach())
    one = Signal()
    torch.testing.assert_close(features_of(one, [X], ["1"])["1"], one[1](one[0](X)).mean(2).detach())


def test_tokens_are_averaged_over_the_sequence():
    torch.manual_seed(0)
    network = Attentive().eval()
    got = features_of(network, [X[:3], X[3:]], ["embed"])["embed"]
    torch.testing.assert_close(got, network.embed(X[..., None]).mean(1).detach())
    recurrent = Recurrent()
    outputs = recurrent.lstm(X[..., None])[0]
    torch.testing.assert_close(features_of(recurrent, [X], ["lstm"])["lstm"], outputs.mean(1).detach())


def test_batches_are_put_together_without_gradients():
    network = perceptron()
    whole = features_of(network, [X], ["1"])["1"]
    torch.testing.assert_close(features_of(network, X.split(3), ["1"])["1"], whole)
    assert not whole.requires_grad


def test_traced_and_vmapped_it_is_a_function_of_the_weights():
    network = perceptron()

    def hidden(weight):
        with capturing(network, ["1"], len(X)) as found:
            functional_call(network, {"0.weight": weight}, (X,))
        return found["1"]

    weights = torch.randn(3, 5, 6, generator=torch.Generator().manual_seed(1))
    got = make_fx(vmap(hidden))(torch.zeros(3, 5, 6))(weights)
    expected = (torch.einsum("nd,shd->snh", X, weights) + network[0].bias).clamp(min=0)
    torch.testing.assert_close(got, expected)


class Odd(nn.Module):
    """Calls one layer twice, one never, and one that gives whole numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.twice, self.never, self.whole = nn.Linear(6, 6), nn.Linear(6, 6), Rounding()

    def forward(self, x):
        return self.whole(self.twice(self.twice(x)))


class Rounding(nn.Module):
    def forward(self, x):
        return x.long()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("twice", "layer 'twice' is called more than once"),
        ("never", "layer 'never' is not called"),
        ("whole", r"layer 'whole' gives \(4, 6\), not features"),
        ("twic", "layer 'twic' is not in network Odd; did you mean 'twice'"),
    ],
)
def test_what_cannot_be_captured_is_refused_by_name(path, message):
    network = Odd()
    with pytest.raises(InputError, match=message):
        features_of(network, [X], [path])
    assert hooks_of(network) == 0


def test_a_layer_that_mixes_rows_is_refused():
    network = nn.Sequential(nn.Unflatten(1, (2, 3)), nn.Flatten(0, 1), nn.Unflatten(0, (-1, 2)))
    with pytest.raises(InputError, match=r"layer '1' gives \(8, 3\), not features \[4, \.\.\.\] of 4 inputs"):
        features_of(network, [X], ["1"])


def test_known_layers_pass():
    check_layers("teacher 'a'", ("0", "1"), ["1"])
    with pytest.raises(InputError, match="layer '2' is not in teacher 'a'; valid: 0, 1"):
        check_layers("teacher 'a'", ("0", "1"), ["2"])
