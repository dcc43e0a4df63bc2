import numpy as np
import pytest
import torch

from mtbkd import Prediction
from mtbkd.report.uncertainty_figures import class_probabilities, uncertainty_histogram


def test_histograms_share_bins_and_sum_to_1():
    rng = np.random.default_rng(0)
    inside, outside = rng.random(100), 1 + rng.random(40)
    figure = uncertainty_histogram(inside, outside, "epistemic", "noise")
    (axes,) = figure.axes
    bins = np.linspace(0, outside.max(), 31)
    outlines = [patch for patch in axes.patches if not patch.get_fill()]
    for values, patch in zip((inside, outside), outlines, strict=True):
        # a step outline has each bin's height twice, between two zeros
        found = patch.get_xy()[1:-1:2, 1]
        np.testing.assert_allclose(found[:30], np.histogram(values, bins)[0] / len(values))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["test inputs", "noise"]
    assert axes.get_xlabel() == "epistemic uncertainty, nats"


def test_histogram_of_inside_alone_and_of_zeros():
    figure = uncertainty_histogram(torch.zeros(5), None, "total")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["test inputs"]
    assert max(y for patch in figure.axes[0].patches for _, y in patch.get_xy()) == pytest.approx(1)


def test_what_draws_say_of_one_input():
    # 21 draws of p(class 1) = 0, 0.05, ..., 1 at the second input: mean 0.5, 90 % within 0.05 and 0.95
    p = torch.linspace(0, 1, 21, dtype=torch.float64)
    second = torch.stack([(1 - p) * 0.4, p, (1 - p) * 0.6], -1)
    draws = torch.stack([torch.full((21, 3), 1 / 3, dtype=torch.float64), second], 1)
    teachers = {"a": [[0, 0, 1], [0.2, 0.7, 0.1]], "b": [0.1, 0.9, 0.0]}
    (axes,) = class_probabilities(Prediction(draws), 1, ["x", "y", "z"], teachers).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["y", "z", "x"]
    np.testing.assert_allclose([bar.get_width() for bar in axes.patches], [0.5, 0.3, 0.2])
    (line,) = axes.collections
    np.testing.assert_allclose(line.get_segments()[0][:, 0], [0.05, 0.95])
    marks = {line.get_label(): line.get_xdata().tolist() for line in axes.lines}
    assert marks == {"a": [0.7, 0.1, 0.2], "b": [0.9, 0.0, 0.1]}


def test_a_point_estimate_has_bars_without_intervals():
    (axes,) = class_probabilities(torch.tensor([[[0.25, 0.75]]])).axes
    assert [bar.get_width() for bar in axes.patches] == [0.75, 0.25]
    assert len(axes.collections) == 0
