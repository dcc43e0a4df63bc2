"""A graph's gathers of one entry along a short dimension, such as each row's log probability of its label, written as
sums over a mask.

A compiled loop looks entries up one by one, and adds their gradients into zeros one by one; with a mask both are part
of the vectorised loops around them. Values are the same, to the bit. Only for compiled graphs: eager operations gain
nothing by it.
"""

import copy
from typing import Any

import torch
from torch.fx import Graph, GraphModule, Node

from mtbkd.row_layout import call, shape_of, value_of

aten = torch.ops.aten

# Entries along the dimension, at most: of longer ones a look-up is quicker than a pass over all.
SHORT = 64
ZEROS = (aten.new_zeros.default, aten.zeros.default, aten.zeros_like.default)


def without_gathers(module: GraphModule) -> GraphModule:
    """The same function with masks in the place of its gathers, and of the sums that add their gradients into zeros."""
    graph = copy.deepcopy(module.graph)
    for node in list(graph.nodes):
        if node.target not in (aten.gather.default, aten.scatter_add.default):
            continue
        with graph.inserting_before(node):
            new = masked_sum(graph, node) if node.target == aten.gather.default else masked(graph, node)
        if new is not None:
            node.replace_all_uses_with(new)
            graph.erase_node(node)
    graph.eliminate_dead_code()
    return GraphModule(module, graph)


def masked_sum(graph: Graph, node: Node) -> Node | None:
    """`x.gather(dim, index)` as a sum of `x` where the place along `dim` is the index; None where it is not to be."""
    given: Any = node.args
    x, dim, index = given[:3]
    others = elsewhere(graph, x, dim, index)
    if others is None:
        return None
    return call(graph, aten.sum.dim_IntList, call(graph, aten.masked_fill.Scalar, x, others, 0), [dim], True)


def masked(graph: Graph, node: Node) -> Node | None:
    """`zeros.scatter_add(dim, index, values)` as the values where the place is the index, else 0."""
    given: Any = node.args
    zeros, dim, index, values = given
    others = elsewhere(graph, zeros, dim, index)
    if others is None or zeros.target not in ZEROS or shape_of(values) != one_along(zeros, dim):
        return None
    wide = call(graph, aten.expand.default, values, list(value_of(zeros).shape))
    return call(graph, aten.masked_fill.Scalar, wide, others, 0)


def one_along(tensor: Node, dim: int) -> torch.Size:
    """A tensor's shape with 1 along a dimension."""
    shape = list(value_of(tensor).shape)
    shape[dim] = 1
    return torch.Size(shape)


def elsewhere(graph: Graph, tensor: Node, dim: int, index: Node) -> Node | None:
    """Whether a place along `dim` of a tensor is another than the row's index; None where the dimension is long, or not
    each row has one index."""
    numbers, shape = value_of(tensor), value_of(tensor).shape
    if not numbers.is_floating_point() or len(shape) == 0 or shape[dim] > SHORT:
        return None
    if value_of(index).shape != one_along(tensor, dim):
        return None
    while index.target == aten.expand.default:  # the same for all chains: once for all of them
        (index,) = index.all_input_nodes
    device, found = index.meta["val"].device, value_of(index).shape
    if len(found) < len(shape):
        index = call(graph, aten.reshape.default, index, [1] * (len(shape) - len(found)) + list(found))
    places = call(graph, aten.arange.default, shape[dim], device=device)
    along = [1] * len(shape)
    along[dim] = -1
    return call(graph, aten.ne.Tensor, index, call(graph, aten.reshape.default, places, along))
