"""Pyro's NUTS behind our door: divergences by draw."""

from dataclasses import replace

import pyro
import pyro.distributions as dist
import torch

from mtbkd.fitting import fit
from mtbkd.inference import NUTSConfig


def funnel() -> None:
    v = pyro.sample("v", dist.Normal(0.0, 3.0))
    pyro.sample("x", dist.Normal(torch.zeros(5), (v / 2).exp()).to_event(1))


def flat() -> None:
    pyro.sample("x", dist.Normal(torch.zeros(5), 1.0).to_event(1))


def test_divergences_are_told_by_chain_and_draw():
    config = NUTSConfig(num_chains=2, warmup=10, draws=40, max_tree_depth=3, accept=0.3, warm_start=0)
    rough = fit(funnel, (), config, seed=1, progress=False).stats["diverging"]
    careful = replace(config, warmup=60, accept=0.9)
    smooth = fit(flat, (), careful, seed=1, progress=False).stats["diverging"]
    assert rough.shape == (2, 40)
    assert rough.dtype == torch.bool
    assert rough.any()
    assert not smooth.any()


def test_a_draw_or_two_is_enough():
    assert (
        fit(flat, (), NUTSConfig(num_chains=1, warmup=2, draws=1, warm_start=0), progress=False).num_draws
        == 1
    )
