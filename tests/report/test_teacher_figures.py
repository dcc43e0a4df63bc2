import numpy as np
import pytest

from mtbkd.report.teacher_figures import (
    POINTS,
    block_means,
    disagreement_matrix,
    row_scale,
    teacher_sensitivity,
    teacher_voices,
    weight_course,
)


def test_teacher_voices_mark_the_means(content):
    voices = content.voices
    (axes,) = teacher_voices(voices.names, voices.weights, voices.responsibilities).axes
    marks = {line.get_label(): line.get_xdata() for line in axes.lines}
    np.testing.assert_allclose(marks["weight, before"], voices.weights.mean(0))
    np.testing.assert_allclose(marks["responsibility, after"], voices.responsibilities.mean(0))
    assert [label.get_text() for label in axes.get_yticklabels()] == list(voices.names)


@pytest.mark.parametrize("m", [1, 20])
def test_one_teacher_and_twenty_and_no_responsibilities(m):
    names = [f"t{i}" for i in range(m)]
    assert len(teacher_voices(names, np.full((3, m), 1 / m), None).axes[0].get_yticks()) == m
    assert len(disagreement_matrix(names, np.zeros((m, m))).axes[0].patches) == m * m


def test_disagreement_is_written_and_the_most_is_strongest():
    share = np.array([[0, 0.1, 0.4], [0.1, 0, 0.2], [0.4, 0.2, 0]])
    (axes,) = disagreement_matrix(["a", "b", "c"], share).axes
    assert [text.get_text() for text in axes.texts] == [
        "–", "10.0%", "40.0%", "10.0%", "–", "20.0%", "40.0%", "20.0%", "–",
    ]  # fmt: skip
    strength = np.array([patch.get_alpha() for patch in axes.patches]).reshape(3, 3)
    np.testing.assert_allclose(strength, (0.06 + 0.5 * share / 0.4) * (share > 0))


def test_sensitivities_stand_on_what_chance_gives():
    (axes,) = teacher_sensitivity(["a", "b"], [0.5, np.nan], [0.1, 0.2]).axes
    assert [bar.get_width() for bar in axes.patches] == [0.1, 0.2]
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), [0.5, np.nan])


def test_a_course_is_thinned_to_block_means():
    course = np.stack([np.arange(5 * POINTS), -np.arange(5 * POINTS)], -1).astype(float)
    steps, means = block_means(course)
    np.testing.assert_array_equal(steps, means[:, 0])
    np.testing.assert_array_equal(means[:2], [[2, -2], [7, -7]])
    assert len(means) == POINTS


def test_a_course_is_a_line_a_teacher():
    (axes,) = weight_course(["a", "b"], [[0.5, 0.5], [0.7, 0.3], [0.9, 0.1]]).axes
    lines = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
    assert lines["a"] == [0.5, 0.7, 0.9]
    assert lines["b"] == [0.5, 0.3, 0.1]


def test_a_scale_is_shares_of_inputs():
    (axes,) = row_scale([0.0, 0.0, 1.0, 3.0]).axes
    found = [bar.get_height() for bar in axes.patches]
    assert sum(found) == 1
    assert found[0] == 0.5
