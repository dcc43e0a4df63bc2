"""Where else a finished run is told of: one file a tracker."""

from collections.abc import Callable
from pathlib import Path

# Tells of the finished run in this folder, once however often it is called.
Track = Callable[[Path], None]
