"""What a graph computes without its first input, taken out of it: it is the same at every call on the same data.

Layers that are held at their MAP, linear and convolutional ones, give each row the same features whatever the last
layer's weights are: over all rows they are computed once, and not at each of an engine's gradients.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.fx import Graph, GraphModule, Node

# Operations that are worth being kept for: others are about as quick as reading what was kept.
HEAVY = ("mm", "addmm", "bmm", "baddbmm", "mv", "convolution", "embedding")


@dataclass(frozen=True)
class Parts:
    """A graph in two: `fixed(*others)` gives what `rest(first, *others, *given)` takes besides the graph's inputs."""

    fixed: GraphModule
    rest: GraphModule


def hoist(module: GraphModule, most: float = float("inf")) -> Parts | None:
    """The graph in two parts; None where nothing heavy is independent of the first input, where it would take more than
    `most` bytes to keep, or where tensors are changed in place."""
    calls = [node for node in module.graph.nodes if node.op == "call_function"]
    if any(schema.is_mutable for node in calls if (schema := getattr(node.target, "_schema", None))):
        return None
    first = next(node for node in module.graph.nodes if node.op == "placeholder")
    moving: set[Node] = {first}
    heavy: set[Node] = set()
    for node in calls:
        if by_chance(node) or not moving.isdisjoint(node.all_input_nodes):
            moving.add(node)
        elif is_heavy(node) or not heavy.isdisjoint(node.all_input_nodes):
            heavy.add(node)
    read = [source(node) for node in calls if node in heavy and read_by(node, moving)]
    taken = list(dict.fromkeys(read))
    values = [node.meta.get("val") for node in taken]
    kept = [value.numel() * value.element_size() for value in values if isinstance(value, Tensor)]
    if not taken or len(kept) < len(taken) or sum(kept) > most:
        return None
    return Parts(fixed_part(module, taken), remaining_part(module, taken))


def by_chance(node: Node) -> bool:
    """Whether an operation draws random numbers."""
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())


def is_heavy(node: Node) -> bool:
    """Whether an operation costs much more than reading its result."""
    schema = getattr(node.target, "_schema", None)
    return schema is not None and schema.name.removeprefix("aten::") in HEAVY


def read_by(node: Node, moving: set[Node]) -> bool:
    """Whether the moving part, or the caller, needs a node's value."""
    return any(user in moving or user.op == "output" for user in node.users)


def source(node: Node) -> Node:
    """What a view is of, unless it selects: such views cost nothing, and how chains share what is fixed is to be seen
    where it is used."""
    while getattr(node.target, "is_view", False):
        (of,) = node.all_input_nodes
        if of.op != "call_function" or of.meta["val"].numel() > node.meta["val"].numel():
            break
        node = of
    return node


def fixed_part(module: GraphModule, taken: list[Node]) -> GraphModule:
    """`(*inputs but the first) -> values of the nodes taken`."""
    graph = Graph()
    copies: dict[Node, Node] = {}
    for place, node in enumerate(module.graph.nodes):
        if node.op == "output" or place == 0 or by_chance(node):
            continue
        if all(one in copies for one in node.all_input_nodes):
            copies[node] = graph.node_copy(node, copies.__getitem__)
    graph.output(tuple(copies[node] for node in taken))
    graph.eliminate_dead_code()
    return GraphModule(module, graph)


def remaining_part(module: GraphModule, taken: list[Node]) -> GraphModule:
    """`(*inputs, *values of the nodes taken) -> what the whole graph gives`."""
    graph = copy.deepcopy(module.graph)
    own = dict(zip(module.graph.nodes, graph.nodes, strict=True))
    last = [node for node in graph.nodes if node.op == "placeholder"][-1]
    for place, node in enumerate(taken):
        with graph.inserting_after(last):
            last = graph.placeholder(f"fixed_{place}")
        last.meta = dict(node.meta)
        own[node].replace_all_uses_with(last)
    graph.eliminate_dead_code()
    return GraphModule(module, graph)
