"""Engines, one file each; `fit` finds them by name."""

from mtbkd.inference.ensemble import EnsembleConfig
from mtbkd.inference.hmc import HMCConfig
from mtbkd.inference.laplace import LaplaceConfig
from mtbkd.inference.map import MAPConfig
from mtbkd.inference.nuts import NUTSConfig
from mtbkd.inference.pyro_svi import PyroSVIConfig
from mtbkd.inference.sghmc import SGHMCConfig
from mtbkd.inference.sgld import SGLDConfig
from mtbkd.inference.svi import SVIConfig

__all__ = [
    "EnsembleConfig",
    "HMCConfig",
    "LaplaceConfig",
    "MAPConfig",
    "NUTSConfig",
    "PyroSVIConfig",
    "SGHMCConfig",
    "SGLDConfig",
    "SVIConfig",
]
