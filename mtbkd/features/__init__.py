"""What a student's layers learn from its teachers' layers, one file a method."""

from mtbkd.features.transfer import FeatureTransfer

__all__ = ["FeatureTransfer"]
