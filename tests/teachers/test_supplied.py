"""Predictions that came with the data."""

import dataclasses
import os

import pytest
import torch

from mtbkd.data.proteins import ProteinsConfig, load
from mtbkd.errors import InputError
from mtbkd.teachers.supplied import SuppliedConfig, build
from mtbkd.teachers.teacher import NotCovered


@pytest.fixture
def data(digits):
    generator = torch.Generator().manual_seed(0)
    z = {s: torch.randn(len(r), 10, generator=generator) for s, r in digits.splits.items() if s != "ood"}
    return dataclasses.replace(digits, supplied={"esm": z, "t5": {"pool": z["pool"]}})


def test_each_split_gets_its_own_rows(data):
    teacher = build("esm", SuppliedConfig(), data, 0)
    for split in ("pool", "validation", "test"):
        torch.testing.assert_close(teacher.predict(data.splits[split])[0], data.supplied["esm"][split])
    # The same rows in another object are the same rows.
    again = data.pool.take(torch.arange(len(data.pool)))
    torch.testing.assert_close(teacher.predict(again)[0], data.supplied["esm"]["pool"])
    renamed = build("mine", SuppliedConfig("esm"), data, 0)
    assert renamed.name == "mine"
    assert renamed.fingerprint == teacher.fingerprint


def test_rows_without_predictions(data):
    teacher = build("esm", SuppliedConfig(), data, 0)
    with pytest.raises(NotCovered, match="none for ood"):
        teacher.predict(data.ood)
    with pytest.raises(NotCovered, match="these rows are none of them"):
        teacher.predict(data.pool.take(torch.arange(len(data.pool)).flip(0)))


def test_bad_supplies(data, digits):
    with pytest.raises(InputError, match="no predictions of 'esm2'; did you mean 'esm'"):
        build("a", SuppliedConfig("esm2"), data, 0)
    with pytest.raises(InputError, match="came without predictions"):
        build("esm", SuppliedConfig(), digits, 0)
    z = data.supplied["esm"]["pool"]
    short = dataclasses.replace(digits, supplied={"esm": {"pool": z[:-1]}})
    with pytest.raises(InputError, match=r"'esm': its predictions for pool have 1436 rows .* the data 1437"):
        build("esm", SuppliedConfig(), short, 0)
    narrow = dataclasses.replace(digits, supplied={"esm": {"pool": z[:, :9]}})
    with pytest.raises(InputError, match="9 classes"):
        build("esm", SuppliedConfig(), narrow, 0)
    holes = z.clone()
    holes[3, 1] = float("nan")
    with pytest.raises(InputError, match="teacher 'esm': row 3, class 1 is nan"):
        build("esm", SuppliedConfig(), dataclasses.replace(digits, supplied={"esm": {"pool": holes}}), 0)


def test_the_papers_teachers():
    """The accuracies that the shared data's description gives for them."""
    if "MTBKD_DATA" not in os.environ:
        pytest.skip("MTBKD_DATA is not set: no shared data")
    data = load(ProteinsConfig(path=f"{os.environ['MTBKD_DATA']}/deeploc2_mtbkd.npz"), 0)
    for name, accuracy in (("ESM_650M", 0.7520), ("T5", 0.7610)):
        z = build(name, SuppliedConfig(), data, 0).predict(data.test)[0]
        assert (z.argmax(-1) == data.test.y).float().mean().item() == pytest.approx(accuracy, abs=1e-6)


def test_a_log_probability_may_be_that_of_an_exact_zero(digits):
    votes = torch.tensor([0.6, 0.4, *[0.0] * 8]).log().expand(len(digits.test), -1)
    data = dataclasses.replace(digits, supplied={"votes": {"test": votes}})
    found = build("votes", SuppliedConfig(), data, 0).predict(digits.test)
    torch.testing.assert_close(torch.softmax(found[0, 0], -1)[:3], torch.tensor([0.6, 0.4, 0.0]))
    nothing = dataclasses.replace(digits, supplied={"votes": {"test": torch.full_like(votes, -torch.inf)}})
    with pytest.raises(InputError, match="teacher 'votes': row 0 gives every class probability 0"):
        build("votes", SuppliedConfig(), nothing, 0)
