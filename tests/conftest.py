"""What every test has: one torch thread, and the shared data where they are."""

import os
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the shared data sets, named by MTBKD_DATA."""
    if "MTBKD_DATA" not in os.environ:
        pytest.skip("MTBKD_DATA is not set: no shared data")
    return Path(os.environ["MTBKD_DATA"])
