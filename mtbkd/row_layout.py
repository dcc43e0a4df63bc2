"""A graph of many rows with few numbers each, written anew so that rows lie innermost in memory.

Chains as a batch make `[C, n, h]` of every layer, with n rows in the thousands and h in the tens. A compiled loop over
h is too short for a vector unit, and products of such thin matrices are slow. With rows innermost, every loop is over
n; and the products with inputs that all chains share become one large product instead of C small ones. Values change
by rounding alone. Only for compiled graphs: eager operations gain nothing by it.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, GraphModule, Node

aten = torch.ops.aten

VIEWS = (aten.view.default, aten._unsafe_view.default)
# The class dimension of these is an argument, at the place given: 2 before, 1 after.
SOFTMAXES = {aten._log_softmax.default: 1, aten._log_softmax_backward_data.default: 2}


def rows_innermost(module: GraphModule) -> GraphModule:
    """The same function with its tall `[C, n, h]`, n > h, computed as `[C, h, n]`."""
    graph = copy.deepcopy(module.graph)
    for node in list(graph.nodes):
        if node.op != "call_function" or (shape := shape_of(node)) is None or len(shape) < 2:
            continue
        with graph.inserting_before(node):
            if node.target == aten.bmm.default:
                new = product(graph, node)
            elif node.target in VIEWS:  # of what may now lie otherwise in memory
                new = call(graph, aten.reshape.default, *node.args)
            elif len(shape) == 3 and shape[1] > shape[2] and turns(node):
                new = turned(graph, node)
            else:
                continue
        if new is not node:
            node.replace_all_uses_with(new)
            graph.erase_node(node)
    graph.eliminate_dead_code()
    return GraphModule(module, graph)


def product(graph: Graph, node: Node) -> Node:
    """A product `[C, n, d] @ [C, d, h]`, with one large one in its place where all chains share a factor."""
    a, b = node.args
    assert isinstance(a, Node)
    assert isinstance(b, Node)
    (chains, n, d), (_, _, h) = value_of(a).shape, value_of(b).shape
    if shared(a) and n > h:  # inputs into the first layer
        weights = call(graph, aten.reshape.default, transposed(graph, b), [chains * h, d])
        out = call(graph, aten.mm.default, weights, call(graph, aten.t.default, a.args[0]))
        return transposed(graph, call(graph, aten.reshape.default, out, [chains, h, n]))
    if shared(b) and d > n:  # the gradient in the first layer's weights
        errors = call(graph, aten.reshape.default, a, [chains * n, d])
        return call(
            graph, aten.reshape.default, call(graph, aten.mm.default, errors, b.args[0]), [chains, n, h]
        )
    if n > h > 1:
        return transposed(graph, call(graph, aten.bmm.default, transposed(graph, b), transposed(graph, a)))
    return node


def turns(node: Node) -> bool:
    """Whether an operation is the same on transposed arguments: elementwise ones of equal rank that write into none of
    them, and softmaxes."""
    given = [shape_of(one) for one in node.args if isinstance(one, Node)]
    if any(shape is None or len(shape) != 3 for shape in given) or not given:
        return False
    if node.target in SOFTMAXES:
        return bool(node.args[SOFTMAXES[node.target]] == 2)
    operation: Any = node.target
    return torch.Tag.pointwise in operation.tags and not bool(operation._schema.is_mutable)


def turned(graph: Graph, node: Node) -> Node:
    """The operation on transposed arguments, transposed back."""
    args = [transposed(graph, one) if isinstance(one, Node) else one for one in node.args]
    if node.target in SOFTMAXES:
        args[SOFTMAXES[node.target]] = 1
    return transposed(graph, call(graph, node.target, *args, **node.kwargs))


def shared(node: Node) -> bool:
    """Whether it is one matrix `[n, d]` for all chains, expanded to `[C, n, d]`."""
    of = node.args[0] if node.target == aten.expand.default else None
    return isinstance(of, Node) and shape_of(of) == value_of(node).shape[1:]


def transposed(graph: Graph, node: Node) -> Node:
    """`[C, n, h]` -> `[C, h, n]`."""
    return call(graph, aten.transpose.int, node, 1, 2)


def call(graph: Graph, target: Callable[..., Any] | str, *args: Any, **kwargs: Any) -> Node:
    """A new operation, with its value's shape and dtype."""
    assert callable(target)
    node = graph.call_function(target, args, kwargs)
    node.meta["val"] = target(*(value_of(one) if isinstance(one, Node) else one for one in args), **kwargs)
    return node


def value_of(node: Node) -> Tensor:
    """A tensor without memory that is as the node's value: of shapes alone, whatever traced it."""
    value = node.meta["val"]
    return torch.empty(value.shape, dtype=value.dtype, device="meta")


def shape_of(node: Node) -> torch.Size | None:
    """The shape of a node's value; None where it is no tensor."""
    value = node.meta.get("val")
    return value.shape if isinstance(value, Tensor) else None


def with_rows_innermost(rows: Tensor) -> Tensor:
    """The same numbers `[N, ...]`, with rows innermost in memory."""
    return rows.movedim(0, -1).contiguous().movedim(-1, 0)
