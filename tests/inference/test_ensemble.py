"""A deep ensemble is as many MAP runs, each from its own first weights."""

from dataclasses import replace

import pytest
import torch
from exact import linear, linear_data

import mtbkd
from mtbkd.errors import InputError
from mtbkd.fitting import fit
from mtbkd.inference import EnsembleConfig, MAPConfig

X = torch.randn(24, 3, generator=torch.Generator().manual_seed(0))
Y = torch.arange(24) % 3
CONFIG = EnsembleConfig(num_members=3, steps=60, learning_rate=0.05, batch_size=8)


def student() -> mtbkd.Student:
    return mtbkd.Student(mtbkd.students.mlp(3, [4], 3))


def test_it_is_map_from_as_many_starts():
    members = fit(student(), (X, Y), CONFIG, seed=2, progress=False)
    maps = fit(
        student(),
        (X, Y),
        MAPConfig(num_starts=3, steps=60, learning_rate=0.05, batch_size=8),
        seed=2,
        progress=False,
    )
    assert (members.num_chains, members.num_draws) == (3, 1)
    for name, value in members.values.items():
        assert torch.equal(value, maps.values[name])
    assert members.meta["engine"] == "ensemble"


def test_a_member_does_not_know_the_others():
    """Chains share batches, not steps: two members from the first two of three starts end where those of three do."""
    three = fit(student(), (X, Y), CONFIG, seed=2, progress=False)
    first = fit(student(), (X, Y), replace(CONFIG, num_members=3, steps=1), seed=2, progress=False)
    starts = first.chains(slice(0, 2))
    whole = replace(CONFIG, batch_size=None)
    two = fit(student(), (X, Y), replace(whole, num_members=2), start=starts, progress=False)
    again = fit(student(), (X, Y), whole, start=first, progress=False)
    for name, value in two.values.items():
        torch.testing.assert_close(value, again.values[name][:2], rtol=1e-4, atol=1e-5)
    assert not torch.equal(three.values["0.weight"][0], three.values["0.weight"][1])


def test_members_disagree_where_the_posterior_has_modes():
    members = fit(student(), (X, Y), replace(CONFIG, steps=300), progress=False)
    predicted = members.predict(X)
    assert predicted.num_draws == 3
    assert predicted.epistemic.max() > 0.01


def test_members_from_one_place_are_refused():
    start = fit(linear, linear_data(), MAPConfig(steps=2), progress=False)
    with pytest.raises(InputError, match="the 3 members of an ensemble start at 1 places"):
        fit(linear, linear_data(), CONFIG, start=start, progress=False)
    assert (
        fit(linear, linear_data(), replace(CONFIG, num_members=1), start=start, progress=False).num_chains
        == 1
    )
