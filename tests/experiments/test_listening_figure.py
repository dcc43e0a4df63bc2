"""Lines of the study's figures: their points and bands by hand, and the panels that show them."""

import numpy as np
import pandas as pd
import pytest

from experiments.listening.interval_figure import interval_panels
from experiments.listening.line_figure import Line, panels
from mtbkd.t_interval import Interval


def test_a_line_is_the_mean_at_each_x_with_its_interval():
    rows = pd.DataFrame({"x": [2, 1, 2, 1, 3], "nll": [0.5, 1.0, 0.7, 2.0, None]})
    line = Line.of("uniform", rows, "x", "nll")
    assert line.x.tolist() == [1, 2, 3]
    # Of two values t_1 is 12.706: half their difference times that.
    np.testing.assert_allclose(line.mean, [1.5, 0.6, np.nan])
    np.testing.assert_allclose(line.half[:2], [12.7062 * 0.5, 12.7062 * 0.1], rtol=1e-4)


def test_panels_share_axes_and_colours():
    rows = pd.DataFrame({"x": [1, 2], "nll": [0.5, 0.7]})
    one, other = (Line.of(name, rows, "x", "nll") for name in ("uniform", "entropy"))
    figure = panels({"left": [one, other], "right": [other]}, "teachers", "NLL")
    left, right = figure.axes
    assert [panel.get_title(loc="left") for panel in (left, right)] == ["left", "right"]
    assert (left.get_ylabel(), left.get_xlabel(), right.get_xlabel()) == ("NLL", "teachers", "teachers")
    assert left.lines[1].get_color() == right.lines[0].get_color() != left.lines[0].get_color()
    assert left.lines[0].get_ydata().tolist() == pytest.approx([0.5, 0.7])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["uniform", "entropy"]
    assert panels({"empty": []}, "x", "y").axes


def test_a_logarithmic_axis_is_labelled_at_its_points():
    line = Line("uniform", np.array([0.01, 0.2, 1.0]), np.array([3.0, 2.0, 1.0]), np.zeros(3))
    (panel,) = panels({"map": [line]}, "share", "NLL", log_x=True).axes
    assert panel.get_xscale() == "log"
    assert [label.get_text() for label in panel.get_xticklabels()] == ["0.01", "0.2", "1"]


def test_differences_stand_at_their_mean_with_their_interval():
    mixture = {"entropy": Interval(0.1, 0.02, 5), "best": None}
    product = {"entropy": Interval(-0.1, 0.05, 5), "stacking": Interval(0.3, 0.1, 5)}
    figure = interval_panels(
        {"digits": {"mixture": mixture, "product": product}, "proteins": {}}, "NLL − uniform"
    )
    digits, proteins = figure.axes
    assert [label.get_text() for label in digits.get_yticklabels()] == ["entropy", "best", "stacking"]
    assert (digits.get_title(loc="left"), proteins.get_xlabel()) == ("digits", "NLL − uniform")
    points = [bar.lines[0].get_xydata().tolist() for bar in digits.containers]
    assert points == [[[0.1, -0.175]], [[-0.1, 0.175], [0.3, 2.175]]]
    (bars,) = digits.containers[1].lines[2]
    assert [segment[:, 0].tolist() for segment in bars.get_segments()] == [
        pytest.approx([-0.15, -0.05]),
        pytest.approx([0.2, 0.4]),
    ]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["mixture", "product"]
