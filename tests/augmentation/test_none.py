"""No augmentation leaves the data the same object."""

from toy_data import vectors

from mtbkd.augmentation import augment
from mtbkd.augmentation.none import NoneConfig


def test_the_pool_is_as_it_was():
    data = vectors()
    assert augment(NoneConfig(), data, 0) is data
