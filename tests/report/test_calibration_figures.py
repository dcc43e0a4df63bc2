import numpy as np
import pytest
import torch

from mtbkd.evaluation.calibration import reliability
from mtbkd.evaluation.conformal import conformal_coverage, threshold_scores
from mtbkd.report.calibration_figures import (
    POINTS,
    conformal_sizes,
    reliability_curves,
    reliability_diagram,
    risk_coverage,
    risk_coverage_curve,
)

# Sure and right, sure and right, unsure and wrong, unsure and right.
PROBS = np.array([[0.95, 0.05], [0.1, 0.9], [0.6, 0.4], [0.55, 0.45]])
Y = np.array([0, 1, 1, 0])


def heights(patches):
    return [patch.get_height() for patch in patches]


def test_reliability_diagram_draws_its_numbers(content):
    data = reliability(content.test.probs, content.test.y, np.random.default_rng(0))
    filled = data.count > 0
    top, bottom = reliability_diagram(content.test.probs, content.test.y).axes
    line = next(line for line in top.lines if line.get_label() == "the student")
    np.testing.assert_allclose(line.get_xdata(), data.confidence[filled])
    np.testing.assert_allclose(line.get_ydata(), data.accuracy[filled])
    assert heights(bottom.patches) == data.count[filled].tolist()
    band = top.patches
    np.testing.assert_allclose([b.get_y() for b in band], data.low[filled])
    np.testing.assert_allclose(heights(band), (data.high - data.low)[filled])


def test_reliability_of_four_inputs_by_hand():
    top, bottom = reliability_diagram(PROBS, Y, bins=5).axes
    line = next(line for line in top.lines if line.get_label() == "the student")
    # (0.4, 0.6]: 0.6 wrong and 0.55 right; (0.8, 1]: 0.95 and 0.9, both right
    np.testing.assert_allclose(line.get_xdata(), [0.575, 0.925])
    np.testing.assert_allclose(line.get_ydata(), [0.5, 1.0])
    assert heights(bottom.patches) == [2, 2]


def test_reliability_curves_have_a_line_a_model():
    (axes,) = reliability_curves({"a": PROBS, "b": PROBS[:, ::-1]}, Y, bins=5).axes
    marks = {dots.get_label(): dots for dots in axes.collections}
    np.testing.assert_allclose(marks["a"].get_offsets(), [[0.575, 0.5], [0.925, 1.0]])
    np.testing.assert_allclose(marks["b"].get_offsets(), [[0.575, 0.5], [0.925, 0.0]])
    assert marks["a"].get_sizes().tolist() == [53, 53]


def test_risk_rises_to_the_error_rate():
    (axes,) = risk_coverage_curve({"student": PROBS}, Y).axes
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [0.25, 0.5, 0.75, 1])
    # the third surest is wrong: 1 of 3, then 1 of 4
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [0, 0, 1 / 3, 1 / 4])


def test_a_long_curve_is_thinned_and_keeps_its_ends():
    rng = np.random.default_rng(0)
    probs = rng.dirichlet([1, 1, 1], 5000)
    y = rng.integers(0, 3, 5000)
    coverage, risk = risk_coverage(probs, y)
    assert len(coverage) == POINTS
    assert coverage[[0, -1]].tolist() == [1 / 5000, 1]
    assert risk[-1] == pytest.approx((probs.argmax(1) != y).mean())


def test_sets_by_class_the_largest_first():
    # ten rows of p = (.6, .4), true 0: threshold 1 - .6 = .4; a test row of class 0 like them has a set of one class,
    # one of class 1 with equal probabilities (.5 > .4) an empty one
    known = torch.tensor([[0.6, 0.4]] * 10, dtype=torch.float64)
    test = torch.tensor([[0.6, 0.4], [0.5, 0.5]], dtype=torch.float64)
    found = conformal_coverage(known, torch.zeros(10), test, torch.tensor([0, 1]), threshold_scores)
    (axes,) = conformal_sizes({"smallest": found}, ["ant", "bee"]).axes
    named = {line.get_label(): line for line in axes.lines}
    assert named["smallest"].get_xdata().tolist() == [1, 0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ant", "bee"]
