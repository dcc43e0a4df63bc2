"""Directional derivatives against whole Jacobians, through every kind of layer that users bring."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev, vmap
from user_networks import USERS_OWN

from mtbkd.forward_mode import pushforward

X = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))


def network_of(kind: type[nn.Module]) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    torch.manual_seed(1)
    network = kind().eval().requires_grad_(False)
    return network, dict(network.named_parameters())


@pytest.mark.parametrize("kind", USERS_OWN)
@pytest.mark.parametrize("grad", [True, False])
def test_a_direction_is_the_jacobians(kind, grad):
    network, weights = network_of(kind)
    directions = {name: torch.randn(3, *w.shape) for name, w in weights.items()}

    def function(w: dict[str, torch.Tensor]) -> torch.Tensor:
        return functional_call(network, w, (X,))

    jacobian = jacrev(function, chunk_size=1)(weights)
    expected = sum(
        torch.einsum("nkd,sd->snk", jacobian[n].flatten(2), directions[n].flatten(1)) for n in weights
    )
    with torch.set_grad_enabled(grad):
        value, change = vmap(lambda d: pushforward(function, weights, d))(directions)
    torch.testing.assert_close(change, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(value, network(X).expand_as(value), rtol=1e-5, atol=1e-5)


def test_torchs_own_settings_are_put_back():
    network, weights = network_of(USERS_OWN[-1])
    before = torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled
    pushforward(lambda w: functional_call(network, w, (X,)), weights, weights)
    with pytest.raises(ValueError, match="no function"):
        pushforward(lambda w: (_ for _ in ()).throw(ValueError("no function")), weights, weights)
    assert (torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled) == before
    assert before[0]
