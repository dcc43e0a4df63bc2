"""Class probabilities of every draw of a posterior, in chunks that fit into memory."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.func import vmap

from mtbkd.errors import InputError
from mtbkd.forward_mode import pushforward
from mtbkd.prediction import Prediction
from mtbkd.students.skeleton import Skeleton

if TYPE_CHECKING:
    from mtbkd.posterior import Posterior


def predictive(posterior: "Posterior", x: Tensor, memory: float) -> Prediction:
    """What `Posterior.predict` says, intermediates within `memory` bytes."""
    if posterior.skeleton is None:
        raise InputError(
            "this posterior is of a Pyro model without a network; use .samples() and your own model"
        )
    x = torch.as_tensor(x)
    if len(x) == 0:
        raise InputError("predict was given no inputs; x needs at least one row")
    dtype = next(iter(posterior.values.values())).dtype
    x = x.to(dtype)
    if posterior.centre is not None and posterior.num_chains > 1:  # each is linearised at its own
        chains = [posterior.chains(slice(c, c + 1)) for c in range(posterior.num_chains)]
        return Prediction(torch.cat([predictive(one, x, memory).probs for one in chains]), len(chains))
    draws = {name: v.flatten(0, 1) for name, v in posterior.of_network(posterior.values).items()}
    count = posterior.num_chains * posterior.num_draws
    widest = widest_activation(posterior.skeleton, x) * (1 if posterior.centre is None else 2)
    probs: Tensor | None = None
    with torch.no_grad():
        for rows in torch.arange(len(x)).split(max(1, min(len(x), int(memory // widest)))):
            chunk, at = max(1, int(memory // (widest * len(rows)))), slice(int(rows[0]), int(rows[-1]) + 1)
            for first in range(0, count, chunk):
                some = slice(first, first + chunk)
                part = forward(posterior, {name: v[some] for name, v in draws.items()}, x[at])
                if probs is None:
                    probs = torch.empty(count, len(x), part.shape[-1], dtype=dtype)
                probs[some, at] = part
    assert probs is not None
    return Prediction(probs, posterior.num_chains)


def forward(posterior: "Posterior", weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """Probabilities `[s, n, K]` of draws `[s, *shape]` at inputs `[n, ...]`."""
    assert posterior.skeleton is not None
    skeleton, held = posterior.skeleton, posterior.of_network(posterior.held)
    own = None if posterior.centre is None else posterior.of_network(posterior.centre)
    centre = None if own is None else {name: v[0] for name, v in own.items()}

    def logits(drawn: dict[str, Tensor]) -> Tensor:
        return skeleton({**held, **drawn}, x)

    def one(drawn: dict[str, Tensor]) -> Tensor:
        if centre is None:
            return logits(drawn)
        step = {name: v - centre[name] for name, v in drawn.items()}
        at_centre, change = pushforward(logits, centre, step)
        return at_centre + change

    if skeleton.loops:
        count = len(next(iter(weights.values())))
        said = torch.stack([one({name: v[i] for name, v in weights.items()}) for i in range(count)])
    else:
        said = vmap(one)(weights)
    # Classes are few: a softmax over the last dimension does not vectorise, and took two thirds of all the time.
    return torch.softmax(said.transpose(1, 2).contiguous(), 1).transpose(1, 2)


def widest_activation(skeleton: Skeleton, x: Tensor) -> int:
    """Bytes of the widest activation of one draw at one input, an upper bound by the largest layer."""
    shapes = skeleton.shapes.values()
    positions = x[0, 0].numel() if skeleton.has_convolution and x.dim() > 2 else 1
    widest = max(max(shape[0] for shape in shapes) * positions, x[0].numel())
    return 4 * x.element_size() * widest
