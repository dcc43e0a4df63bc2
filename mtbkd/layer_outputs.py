"""What the named layers of a torch network give on the way of one forward pass, as features `[n, H]`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mtbkd.errors import InputError, nearest


def layer_paths(network: nn.Module) -> tuple[str, ...]:
    """Paths of all layers of a network, as `named_modules` has them."""
    return tuple(path for path, _ in network.named_modules(remove_duplicate=False) if path)


def check_layers(owner: str, known: Sequence[str], wanted: Sequence[str]) -> None:
    """Raise `InputError` unless all wanted layers are known; owner: whose they are, in words."""
    for path in wanted:
        if path not in known:
            raise InputError(f"layer '{path}' is not in {owner}; {nearest(path, known)}")


@contextmanager
def capturing(network: nn.Module, paths: Sequence[str], rows: int) -> Iterator[dict[str, Tensor]]:
    """While it lasts, one pass of `rows` inputs through the network leaves what each named layer gives, `[rows, H]`.

    By forward hooks, which are taken off again: layers that are called as modules are seen, also while the network is
    traced or vmapped. Raises `InputError` for a layer that is not called, or called twice, or gives no features.
    """
    check_layers(f"network {type(network).__name__}", layer_paths(network), paths)
    channels_first = any(isinstance(part, nn.Conv1d) for part in network.modules())
    found: dict[str, Tensor] = {}
    handles = []
    for path in paths:

        def keep(layer: nn.Module, inputs: Any, output: Any, path: str = path) -> None:
            if path in found:
                raise InputError(
                    f"layer '{path}' is called more than once in a pass; name one that is called once"
                )
            found[path] = pooled(path, output, rows, channels_first)

        handles.append(network.get_submodule(path).register_forward_hook(keep))
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
    for path in paths:
        if path not in found:
            raise InputError(
                f"layer '{path}' is not called in the network's forward; name one that is called as a module"
            )


def pooled(path: str, output: Any, rows: int, channels_first: bool) -> Tensor:
    """One layer's output as `[n, H]`: the mean over positions of maps `[n, C, ...]` and of tokens `[n, T, H]`.

    output: a tensor; a tuple of which it is the first, as recurrent layers give; or a transformer's result
    channels_first: outputs of three dimensions are `[n, C, L]`, as of `nn.Conv1d`
    """
    value = output[0] if isinstance(output, tuple | list) else getattr(output, "last_hidden_state", output)
    if (
        not isinstance(value, Tensor)
        or not value.is_floating_point()
        or value.dim() < 2
        or len(value) != rows
    ):
        what = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise InputError(
            f"layer '{path}' gives {what}, not features [{rows}, ...] of {rows} inputs; name another"
        )
    if value.dim() == 2:
        return value.clone()  # what comes next may be done in place
    if value.dim() == 3 and not channels_first:
        return value.mean(1)
    return value.flatten(2).mean(-1)


def features_of(
    network: nn.Module, batches: Sequence[Tensor], paths: Sequence[str], argument: str | None = None
) -> dict[str, Tensor]:
    """What each named layer gives for all batches, `[n, H]` float32 on the CPU, without gradients.

    argument: keyword by which the network takes its inputs, None for the first position
    """
    parts: dict[str, list[Tensor]] = {path: [] for path in paths}
    with torch.no_grad():
        for batch in batches:
            with capturing(network, paths, len(batch)) as found:
                network(**{argument: batch}) if argument else network(batch)
            for path in paths:
                parts[path].append(found[path].float().cpu())
    return {path: torch.cat(several) for path, several in parts.items()}
