"""Plain distillation without Bayes, as anyone would write it: the step that Bayes is to cost no more than.

CE(labels) + lambda KL(mean teacher || student), Adam with weight decay, shuffled mini-batches held in memory
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.benchmarks.problem import Problem
from experiments.benchmarks.turns import finished

LAMBDA = 5.0


def plain_steps(
    problem: Problem, network: torch.nn.Module, batch_size: int, device: torch.device, compiled: bool
) -> Callable[[int], None]:
    """`run(n)`: n training steps of the network, in place.

    compiled: network, loss and optimiser through torch.compile, as torch's own tutorials have it
    """
    network.to(device).requires_grad_(True).train()
    x, y, teacher = (t.to(device) for t in (problem.x, problem.y, problem.mean_probs()))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, weight_decay=1e-5)
    order: list[Tensor] = []

    def loss_of(x: Tensor, y: Tensor, teacher: Tensor) -> Tensor:
        logits = network(x)
        labels = F.cross_entropy(logits, y, ignore_index=-1)
        return labels + LAMBDA * F.kl_div(torch.log_softmax(logits, -1), teacher, reduction="batchmean")

    loss = torch.compile(loss_of, dynamic=False) if compiled else loss_of
    advance = torch.compile(optimizer.step) if compiled else optimizer.step

    def run(steps: int) -> None:
        for _ in range(steps):
            if not order:
                order.extend(torch.randperm(len(x)).to(device).split(batch_size)[: len(x) // batch_size])
            rows = order.pop()
            optimizer.zero_grad()
            loss(x[rows], y[rows], teacher[rows]).backward()
            advance()
        finished(device)

    return run
