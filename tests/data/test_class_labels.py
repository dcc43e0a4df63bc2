"""Any labels become class indices, and what could mean two things is refused."""

import numpy as np
import pytest

from mtbkd.data.class_labels import all_classes, class_indices, is_labelled, labels_of
from mtbkd.errors import InputError


@pytest.mark.parametrize(
    ("y", "labelled"),
    [
        ([0, -1, 2], [True, False, True]),
        ([0.0, -1.0, 2.0], [True, False, True]),
        ([False, True, True], [True, True, True]),
        (["a", "b", "a"], [True, True, True]),
        (np.array(["a", -1, "b"], object), [True, False, True]),
        (np.array([255, 1], np.uint8), [True, True]),
    ],
)
def test_minus_one_is_unlabelled(y, labelled):
    assert is_labelled(np.asarray(y)).tolist() == labelled


def test_the_text_minus_one_is_refused():
    with pytest.raises(InputError, match=r"label '-1' at row 1 is text; .* dtype=object"):
        is_labelled(np.array(["a", -1]))


def test_labels_keep_or_find_their_kind():
    assert labels_of(np.array(["b", "a"], object)).dtype.kind == "U"
    assert labels_of(np.array([3, 1], object)).dtype.kind == "i"
    assert labels_of(np.array([3, 1], np.int8)).dtype == np.int8
    with pytest.raises(ValueError, match="Unknown label type"):
        labels_of(np.array([0.5, 0.7, 1.2]))
    with pytest.raises(InputError, match="class 'a' is text and 2 is of type int"):
        labels_of(np.array(["a", 2], object))


def test_classes_are_those_of_the_labels_and_of_the_teachers():
    labels = np.array([3, 1])
    assert all_classes(labels, {}).tolist() == [1, 3]
    assert all_classes(labels, {"forest": [1, 2], "svm": [7]}).tolist() == [1, 2, 3, 7]
    assert all_classes(labels, {"forest": [1, 2]}, classes=[4, 3, 2, 1]).tolist() == [1, 2, 3, 4]
    with pytest.raises(InputError, match="teacher 'forest': class 'a' is text and"):
        all_classes(labels, {"forest": ["a", "b"]})
    with pytest.raises(InputError, match="1 class, 3; at least 2"):
        all_classes(np.array([3, 3]), {})


def test_a_label_that_is_no_class_is_told_with_its_row():
    classes = np.array(["cat", "dog"])
    assert class_indices(np.array(["dog", "cat"]), np.array([4, 9]), classes).tolist() == [1, 0]
    with pytest.raises(InputError, match="label 'dig' at row 9 is not among `classes`; did you mean 'dog'"):
        class_indices(np.array(["dog", "dig"]), np.array([4, 9]), classes)
