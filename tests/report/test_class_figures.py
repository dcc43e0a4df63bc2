import numpy as np

from mtbkd.report.class_figures import confusion_counts, confusion_matrix

# True 0: two right; true 1: one right, one taken for 2; class 2: nobody's.
PROBS = np.array([[0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.1, 0.7, 0.2], [0.2, 0.3, 0.5], [0.0, 0.0, 1.0]])
Y = np.array([0, 0, 1, 1, -1])


def test_counts_by_hand():
    np.testing.assert_array_equal(confusion_counts(PROBS, Y), [[2, 0, 0], [0, 1, 1], [0, 0, 0]])


def test_only_what_happened_is_drawn():
    (axes,) = confusion_matrix(PROBS, Y, ["ant", "bee", "cow"]).axes
    assert [(text.get_position(), text.get_text()) for text in axes.texts] == [
        ((0, 0), "2"), ((1, 1), "1"), ((2, 1), "1"),
    ]  # fmt: skip
    np.testing.assert_allclose([patch.get_alpha() for patch in axes.patches], [0.57, 0.345, 0.345])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ant", "bee", "cow"]


def test_hundreds_of_classes_are_drawn_without_names():
    (axes,) = confusion_matrix(np.eye(200), np.arange(200)).axes
    assert len(axes.patches) == 200
    assert len(axes.texts) == 0
