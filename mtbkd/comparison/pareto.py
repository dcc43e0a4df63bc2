"""Which of several are worth having: no other is at least as good in both and better in one."""

from collections.abc import Sequence

import numpy as np


def pareto_front(cost: Sequence[float], loss: Sequence[float]) -> list[int]:
    """Places of the points that no other dominates, by rising cost; of equal points all.

    cost, loss: `[n]`, smaller is better; a point with a value that is not finite is never on the front
    """
    points = np.column_stack([np.asarray(cost, float), np.asarray(loss, float)])
    order = [i for i in np.lexsort((points[:, 1], points[:, 0])) if np.isfinite(points[i]).all()]
    front: list[int] = []
    for i in order:
        if not front or points[i, 1] < points[front[-1], 1] or (points[i] == points[front[-1]]).all():
            front.append(int(i))
    return front
