import numpy as np

from mtbkd.report.model_figures import model_dots, stage_times
from mtbkd.report.tables import model_rows


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


def test_intervals_are_lines():
    rows = model_rows({"student": {"nll": 0.5, "nll_low": 0.4, "nll_high": 0.7}})
    (axes,) = model_dots(rows, "nll", "NLL").axes
    (line,) = axes.collections
    np.testing.assert_allclose(line.get_segments()[0], [[0.4, 0], [0.7, 0]])


def test_times_are_bars_in_their_order_with_words():
    (axes,) = stage_times({"teachers": 0.5, "student": 90.0, "evaluation": 7200.0}).axes
    assert [bar.get_width() for bar in axes.patches] == [0.5, 90, 7200]
    assert [text.get_text().strip() for text in axes.texts] == ["0.5 s", "1.5 min", "2.0 h"]


def test_no_time_at_all_is_drawn():
    assert len(stage_times({"teachers": 0.0}).axes) == 1
