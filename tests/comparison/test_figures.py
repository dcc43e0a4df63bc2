"""Figures show the numbers they are given."""

import math

import numpy as np
import pytest

from mtbkd.comparison.figures import interval_dots, joined_labels, quality_against_cost
from mtbkd.t_interval import Interval


def dots(axes):
    """The means: the large marks, by row."""
    return {line.get_ydata()[0]: line.get_xdata()[0] for line in axes.lines if line.get_markersize() == 6.5}


def test_means_intervals_and_seeds():
    means = [Interval(0.5, 0.1, 3), Interval(0.7, math.nan, 1), Interval(math.inf, math.nan, 2), None]
    figure = interval_dots(
        ["a", "b", "c", "d"], means, [[0.4, 0.5, 0.6], [0.7], [0.2, math.inf], []], "NLL", [False] * 4
    )
    axes = figure.axes[0]
    assert dots(axes) == {0: 0.5, 1: 0.7}
    (one,) = axes.collections  # of the first alone there is an interval
    assert np.allclose(one.get_segments()[0], [[0.4, 0], [0.6, 0]])
    seeds = [sorted(line.get_xdata()) for line in axes.lines if line.get_markersize() == 3.5]
    assert seeds == [[0.4, 0.5, 0.6], [0.7], [0.2], []]
    assert [text.get_text() for text in axes.texts] == ["∞", "–"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "c", "d"]


def test_the_front_is_joined():
    quality = [Interval(0.9, 0.1, 3), Interval(0.5, 0.1, 3), Interval(0.7, math.nan, 1)]
    figure = quality_against_cost(
        [10.0, 1000.0, 2000.0], quality, ["1", "2", "3"], [0, 1], "Stored", "NLL", True
    )
    axes = figure.axes[0]
    assert axes.lines[0].get_xdata().tolist() == [10, 1000]
    assert axes.lines[0].get_ydata().tolist() == [0.9, 0.5]
    assert [text.get_text() for text in axes.texts] == ["1", "2", "3"]
    assert axes.get_xscale() == "log"
    figure.canvas.draw()
    told = [label.get_text() for label in axes.get_xticklabels()]
    assert "1.0 kB" in told
    assert not [text for text in told if "$" in text]


@pytest.mark.parametrize("cost", [[0.4, 0.5], [0.4, math.nan]])
def test_costs_of_one_size_are_not_logarithmic(cost):
    quality = [Interval(0.9, 0.1, 3), Interval(0.5, 0.1, 3)]
    axes = quality_against_cost(cost, quality, ["1", "2"], [0], "Latency", "NLL").axes[0]
    assert axes.get_xscale() == "linear"
    assert len(axes.texts) == sum(map(math.isfinite, cost))


def test_points_in_one_place_share_a_label():
    x, y = np.array([1.0, 1.01, 2.0, np.nan]), np.array([0.5, 0.5, 0.9, 0.1])
    assert joined_labels(x, y, ["1", "2", "3", "4"]) == [((1.0, 0.5), "1, 2"), ((2.0, 0.9), "3")]
    # Of one size, and of one value.
    same = np.array([5.0, 5.0])
    assert joined_labels(same, np.array([0.1, 0.9]), ["1", "2"]) == [((5.0, 0.1), "1"), ((5.0, 0.9), "2")]
    assert joined_labels(same, same, ["1", "2"]) == [((5.0, 5.0), "1, 2")]
    assert joined_labels(np.array([np.nan]), np.array([1.0]), ["1"]) == []
