import matplotlib.pyplot as plt
import numpy as np
import pytest

from mtbkd.evaluation.calibration import reliability
from mtbkd.report.figures import (
    model_dots,
    readable,
    reliability_diagram,
    teacher_voices,
    uncertainty_histogram,
)
from mtbkd.report.tables import model_rows


@pytest.fixture(autouse=True)
def no_global_state():
    yield
    assert plt.get_fignums() == []


def heights(patches):
    return [patch.get_height() for patch in patches]


def test_reliability_diagram_draws_its_numbers(content):
    data = reliability(content.test.probs, content.test.y, np.random.default_rng(0))
    filled = data.count > 0
    top, bottom = reliability_diagram(data).axes
    line = next(line for line in top.lines if line.get_label() == "the student")
    np.testing.assert_allclose(line.get_xdata(), data.confidence[filled])
    np.testing.assert_allclose(line.get_ydata(), data.accuracy[filled])
    assert heights(bottom.patches) == data.count[filled].tolist()
    band = top.patches
    np.testing.assert_allclose([b.get_y() for b in band], data.low[filled])
    np.testing.assert_allclose(heights(band), (data.high - data.low)[filled])


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
    figure = uncertainty_histogram(np.zeros(5), None, "total")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["test inputs"]
    assert max(y for patch in figure.axes[0].patches for _, y in patch.get_xy()) == pytest.approx(1)


def test_teacher_voices_mark_the_means(content):
    voices = content.voices
    (axes,) = teacher_voices(voices.names, voices.weights, voices.responsibilities).axes
    marks = {line.get_label(): line.get_xdata() for line in axes.lines}
    np.testing.assert_allclose(marks["weight, before"], voices.weights.mean(0))
    np.testing.assert_allclose(marks["responsibility, after"], voices.responsibilities.mean(0))
    assert [label.get_text() for label in axes.get_yticklabels()] == list(voices.names)


def test_one_teacher_and_twenty_and_no_responsibilities():
    for m in (1, 20):
        names = [f"t{i}" for i in range(m)]
        figure = teacher_voices(names, np.full((3, m), 1 / m), None)
        assert len(figure.axes[0].get_yticks()) == m


def test_model_dots_put_each_model_on_its_row(content):
    rows = model_rows(content.metrics)
    (axes,) = model_dots(rows, "nll", "NLL").axes
    dots = {
        float(line.get_ydata()[0]): float(line.get_xdata()[0])
        for line in axes.lines
        if line.get_marker() == "o"
    }
    assert dots == {i: row.metrics["nll"] for i, row in enumerate(rows) if row.metrics["nll"] is not None}
    assert [text.get_text() for text in axes.texts] == ["∞"]


def test_ece_dots_stand_on_their_bands(content):
    (axes,) = model_dots(model_rows(content.metrics), "ece", "ECE").axes
    bands = [line.get_xdata() for line in axes.lines if line.get_marker() != "o"]
    np.testing.assert_allclose(bands, [[0.020, 0.056]] * 7)


@pytest.mark.parametrize(
    ("name", "text"), [("esm\x00\n2", "esm2"), ("x" * 30, "x" * 23 + "…"), ("a$b$", "a$b$"), (7, "7")]
)
def test_readable_names(name, text):
    assert readable(name) == text
