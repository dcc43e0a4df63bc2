"""Any torch network as a pure function of its weights, and what is refused."""

import pytest
import torch
from torch import nn
from user_networks import USERS_OWN, Attentive, Centred, Noisy, Normed, Recurrent, Signal, Tied, TiedLast

from mtbkd.errors import InputError
from mtbkd.students.cnn import cnn
from mtbkd.students.mlp import mlp
from mtbkd.students.skeleton import Skeleton, check_output


def inputs(n: int = 4) -> torch.Tensor:
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("network", USERS_OWN)
def test_is_the_network_as_a_function_of_its_weights(network):
    torch.manual_seed(0)
    first, other = network().eval(), network().eval()
    weights = dict(other.named_parameters())
    torch.testing.assert_close(Skeleton(first)(weights, inputs()), other(inputs()))


def test_the_users_network_is_left_alone():
    network = Normed().train()
    skeleton = Skeleton(network)
    assert network.training
    assert all(p.requires_grad for p in network.parameters())
    before = skeleton.own_logits(inputs())
    with torch.no_grad():
        network.head.bias += 1.0
    assert torch.equal(skeleton.own_logits(inputs()), before)


def test_buffers_follow_the_inputs_precision():
    network = Normed()
    weights = {name: p.double() for name, p in network.named_parameters()}
    logits = Skeleton(network)(weights, inputs().double())
    assert logits.dtype == torch.float64
    torch.testing.assert_close(logits, network.double()(inputs().double()))


def test_a_tied_weight_is_one_parameter():
    skeleton = Skeleton(Tied())
    assert list(skeleton.shapes) == ["into.weight", "into.bias", "back.bias", "head.weight", "head.bias"]
    assert skeleton.num_weights == 36 + 6 + 6 + 18 + 3


def test_layers_are_chosen_by_name():
    skeleton = Skeleton(mlp(6, [5, 4], 3))
    assert skeleton.parameters_of("all") == list(skeleton.shapes)
    assert skeleton.parameters_of("last") == ["4.weight", "4.bias"]
    assert skeleton.parameters_of("2") == ["2.weight", "2.bias"]
    assert skeleton.parameters_of(["0", "4"]) == ["0.weight", "0.bias", "4.weight", "4.bias"]
    assert Skeleton(nn.Linear(6, 3)).parameters_of("last") == ["weight", "bias"]
    assert Skeleton(cnn((1, 4, 4), [8], 3)).parameters_of("last") == ["6.weight", "6.bias"]
    assert Skeleton(Attentive()).parameters_of("last") == ["head.weight", "head.bias"]


def test_a_tied_last_layer_is_the_weight_it_shares():
    assert Skeleton(TiedLast()).parameters_of("last") == ["shared.weight"]
    assert Skeleton(Tied()).parameters_of("back") == ["into.weight", "back.bias"]


def test_unknown_layer_is_refused_with_the_valid_ones():
    with pytest.raises(InputError, match=r"'1' is not in the network; valid: all, last, 0, 2"):
        Skeleton(mlp(6, [5], 3)).parameters_of(["1"])


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (nn.BatchNorm1d(4), "BatchNorm1d"),
        (nn.LazyBatchNorm1d(), "LazyBatchNorm1d"),
        (nn.SyncBatchNorm(4), "SyncBatchNorm"),
        (nn.InstanceNorm1d(4, track_running_stats=True), "InstanceNorm1d"),
        (nn.Dropout(0.1), "Dropout"),
        (nn.AlphaDropout(0.1), "AlphaDropout"),
        (nn.RReLU(), "RReLU"),
        (nn.LSTM(4, 4, num_layers=2, dropout=0.1), "LSTM"),
        (nn.MultiheadAttention(4, 2, dropout=0.1), "MultiheadAttention"),
    ],
)
def test_batch_statistics_and_chance_are_refused_by_layer(layer, name):
    block = nn.Sequential(nn.Linear(6, 4), layer)
    with pytest.raises(InputError, match=rf"layer 'block\.1' \({name}\)"):
        Skeleton(nn.ModuleDict({"block": block}))


def test_the_refusal_says_what_to_use_instead():
    with pytest.raises(InputError, match="GroupNorm"):
        Skeleton(nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4)))
    with pytest.raises(InputError, match="posterior itself regularises"):
        Skeleton(nn.Sequential(nn.Linear(6, 4), nn.Dropout(0.5)))


def test_switched_off_dropout_is_no_dropout():
    Skeleton(nn.Sequential(nn.Linear(6, 3), nn.Dropout(0.0)))
    Skeleton(Attentive())


def test_what_no_layer_tells_is_found_by_asking():
    with pytest.raises(InputError, match="Noisy gives other logits when asked again"):
        check_output(Skeleton(Noisy()), inputs(), 3)
    with pytest.raises(InputError, match="Centred gives an input other logits when another is beside it"):
        check_output(Skeleton(Centred()), inputs(), 3)


@pytest.mark.parametrize("network", USERS_OWN)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_good_networks_pass(network, n):
    check_output(Skeleton(network()), inputs(n), 3)
    check_output(Skeleton(network()), inputs(n).double(), 3)


def test_wrong_width_and_wrong_inputs_are_refused():
    with pytest.raises(InputError, match=r"gives shape \(2, 3\) for 2 inputs; \(2, 10\)"):
        check_output(Skeleton(mlp(6, [4], 3)), inputs(), 10)
    with pytest.raises(InputError, match=r"MLP does not take inputs of shape \(6,\)"):
        check_output(Skeleton(mlp(7, [4], 3)), inputs(), 3)
    with pytest.raises(InputError, match=r"gives shape \(2, 2, 2\)"):
        check_output(Skeleton(nn.Sequential(nn.Linear(6, 4), nn.Unflatten(1, (2, 2)))), inputs(), 3)


def test_outputs_that_are_no_logits_are_refused():
    with pytest.raises(InputError, match="LSTM returns tuple"):
        check_output(Skeleton(nn.LSTM(6, 3)), inputs(), 3)


def test_a_network_without_parameters_is_refused():
    with pytest.raises(InputError, match="Flatten has no parameters"):
        Skeleton(nn.Flatten())


def test_convolutions_and_recurrence_are_taken_one_draw_at_a_time():
    loops = {type(n).__name__: Skeleton(n).loops for n in (Signal(), Recurrent(), Normed(), Attentive())}
    assert loops == {"Signal": True, "Recurrent": True, "Normed": False, "Attentive": False}
