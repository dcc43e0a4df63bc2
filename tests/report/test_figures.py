import numpy as np
import pytest
import torch

import mtbkd.report
from mtbkd import Prediction
from mtbkd.errors import InputError
from mtbkd.prediction_summary import PredictionSummary
from mtbkd.report.figures import labelled, panel, readable


@pytest.mark.parametrize(
    ("name", "text"), [("esm\x00\n2", "esm2"), ("x" * 30, "x" * 23 + "…"), ("a$b$", "a$b$"), (7, "7")]
)
def test_readable_names(name, text):
    assert readable(name) == text


def test_everything_that_predicts_is_the_same_probabilities():
    draws = torch.tensor([[[0.8, 0.2], [0.5, 0.5]], [[0.6, 0.4], [0.1, 0.9]]])
    expected = [[0.7, 0.3], [0.3, 0.7]]
    predicted = Prediction(draws)
    for given in (
        predicted,
        PredictionSummary.of(predicted),
        draws,
        draws.numpy(),
        draws.mean(0),
        draws.mean(0).tolist(),
    ):
        np.testing.assert_allclose(labelled(given, [0, 1])[0], expected, atol=1e-7)


def test_rows_without_label_are_left_out():
    probs, y = labelled([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]], torch.tensor([1, -1, 0]))
    np.testing.assert_array_equal(probs, [[0.9, 0.1], [0.5, 0.5]])
    assert y.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("probs", "y", "words"),
    [
        ([0.5, 0.5], [0], "shape \\[2\\]; draws"),
        ([[0.5, 0.5]], [0, 1], "labels of shape \\[2\\] for 1 inputs"),
        ([[0.5, 0.5]], [-1], "none of 1 inputs has a label"),
        ([[0.5, 0.5]], [2], "2"),
    ],
)
def test_what_cannot_be_drawn_is_said(probs, y, words):
    with pytest.raises(InputError, match=words):
        labelled(probs, y)


def test_a_notebook_shows_a_figure_as_it_stands():
    figure = panel(2.0)
    figure.subplots().plot([0, 1])
    data, size = figure._repr_png_()
    assert data.startswith(b"\x89PNG")
    assert size == {"width": 390, "height": 200}


@pytest.mark.parametrize("name", mtbkd.report.__all__)
def test_what_is_public_is_there(name):
    assert callable(getattr(mtbkd.report, name))


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="no attribute 'pie_chart'"):
        mtbkd.report.pie_chart  # noqa: B018
