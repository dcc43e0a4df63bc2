"""A function's directional derivative, whatever layers it has."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

import torch
from torch import Tensor
from torch.func import jvp
from torch.nn.attention import SDPBackend, sdpa_kernel

Point = TypeVar("Point", Tensor, dict[str, Tensor])


def pushforward(function: Callable[[Point], Tensor], point: Point, direction: Point) -> tuple[Tensor, Tensor]:
    """The function's value at a point, and J direction, by forward-mode differentiation; may be vmapped."""
    with unfused_attention():
        try:
            value, change, *_ = jvp(function, (point,), (direction,))
        except NotImplementedError as error:
            if "forward AD" not in str(error):
                raise
            # As oneDNN's recurrent layers; torch's own are of plain operations. Convolutions are faster with oneDNN.
            with torch.backends.mkldnn.flags(enabled=False):
                value, change, *_ = jvp(function, (point,), (direction,))
    return cast(Tensor, value), cast(Tensor, change)


@contextmanager
def unfused_attention() -> Iterator[None]:
    """Attention out of plain operations: torch's fused ones have no forward derivative."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
