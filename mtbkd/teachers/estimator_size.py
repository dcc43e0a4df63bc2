"""How large a fitted scikit-learn classifier is."""

from typing import Any

import numpy as np

# What each family learns; the first family whose attributes are all there counts.
_LEARNED = (
    ("coefs_", "intercepts_"),
    ("coef_", "intercept_"),
    ("support_vectors_", "dual_coef_", "intercept_"),
    ("theta_", "var_", "class_prior_"),
)


def size_of_estimator(estimator: Any) -> tuple[int | None, int | None]:
    """Learned numbers, and bytes of its skops file; None where they cannot be known.

    A tree learns a threshold for each split and class shares for each leaf. Boosted trees and neighbours
    have no number of parameters that means anything.
    """
    import skops.io

    try:
        stored = len(skops.io.dumps(estimator))
    except (TypeError, ValueError):  # an estimator of the user's own may hold what skops cannot store
        return _parameters(estimator), None
    return _parameters(estimator), stored


def _parameters(estimator: Any) -> int | None:
    if hasattr(estimator, "steps"):
        return _parameters(estimator.steps[-1][1])
    if hasattr(estimator, "calibrated_classifiers_"):
        inner = [_parameters(c.estimator) for c in estimator.calibrated_classifiers_]
        known = [count for count in inner if count is not None]
        # The calibration itself is two numbers a class.
        calibration = 2 * len(estimator.classes_) * len(inner)
        return sum(known) + calibration if len(known) == len(inner) else None
    trees = getattr(estimator, "estimators_", [estimator])
    if all(hasattr(tree, "tree_") for tree in trees):
        return sum(_tree_parameters(tree.tree_) for tree in trees)
    for attributes in _LEARNED:
        if all(hasattr(estimator, a) for a in attributes):
            return sum(_count(getattr(estimator, a)) for a in attributes)
    return None


def _tree_parameters(tree: Any) -> int:
    return int(tree.node_count - tree.n_leaves + tree.n_leaves * tree.value[0].size)


def _count(learned: Any) -> int:
    return sum(np.size(a) for a in learned) if isinstance(learned, list) else int(np.size(learned))
