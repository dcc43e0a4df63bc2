"""The study of agreement on a table of 60 rows: what is fitted once, what is counted, what its table says."""

import json
from dataclasses import replace

import pandas as pd
import pytest
import torch
from tiny_runs import tiny_overrides

from experiments import agreement as study_of
from experiments.agreement import ARMS, Arm, Fit, Study, arms, compare, configured, markdown, row, shortened
from mtbkd import registry
from mtbkd.evaluation.agreement import total_variation
from mtbkd.inference import HMCConfig, MAPConfig
from mtbkd.progress import Progress

LONG = ("inference.warmup=25", "inference.draws=6", "inference.num_chains=4")


@pytest.fixture
def study(tmp_path):
    words = [w for w in tiny_overrides(tmp_path) if not w.startswith("inference")]
    return Study("table", tuple(words), LONG)


def told(study, names, out):
    chosen = [arm for arm in ARMS if arm.name in names]
    return {one["arm"]: one for one in compare(study, chosen, out, True, Progress())}


def test_every_engine_but_pyros_has_a_row():
    named = {arm.engine for arm in arms()}
    assert named == set(registry.names("inference")) - {"nuts", "pyro_svi"}
    assert {arm.engine for arm in arms(oracles=True)} == set(registry.names("inference"))
    assert len({arm.name for arm in arms()}) == len(arms())


def test_an_arm_is_configured_as_the_command_would(study):
    arm = next(arm for arm in ARMS if arm.name == "svi_low_rank")
    config = configured(study, arm)
    assert (config.methods["inference"], config.inference.guide, config.inference.steps) == (
        "svi",
        "low_rank",
        4000,
    )
    assert config.settings.compile == "never"
    assert configured(study, arm, quick=True).inference.steps == 20


def test_a_quick_engine_keeps_what_it_has_no_short_form_of():
    quick = shortened(HMCConfig(num_chains=1, accept=0.7))
    assert (quick.num_chains, quick.accept, quick.warmup, quick.draws) == (1, 0.7, 20, 6)
    assert shortened(MAPConfig()) == replace(MAPConfig(), steps=20)


def test_rows_are_of_fits_made_once_and_compared_with_the_long_run(study, tmp_path, monkeypatch):
    out = tmp_path / "out"
    first = told(study, ["map", "svi"], out)
    assert list(first) == ["reference", "halves", "map", "svi"]
    reference = first["reference"]
    assert (reference["agreement"], reference["total_variation"]) == (1, 0)
    assert (reference["chains"], reference["draws"], reference["weights"]) == (2, 6, 2 * 4 + 4 + 4 * 3 + 3)
    kept = {
        name: torch.from_numpy(study_of.np.load(out / "table-quick" / name / "test_probs.npy"))
        for name in ("reference", "map")
    }
    halves = total_variation(kept["reference"][0], kept["reference"][1])
    assert first["halves"]["total_variation"] == pytest.approx(halves)
    against = total_variation(kept["map"][0], kept["reference"].mean(0))
    assert first["map"]["total_variation"] == pytest.approx(against)
    assert 0 < against <= 1
    assert not list(out.rglob("begun"))

    monkeypatch.setattr(study_of, "fit", None)
    assert told(study, ["map", "svi"], out) == first

    record = out / "table-quick" / "map" / "fit.json"
    changed = json.loads(record.read_text())
    changed["identity"]["seed"] = 99
    record.write_text(json.dumps(changed))
    with pytest.raises(TypeError):  # another fit than this: it is made again
        told(study, ["map"], out)


def test_passes_are_gradients_of_each_chain_in_shares_of_the_rows(study, tmp_path):
    """MAP: 20 steps of one start on batches of all 48 rows of the pool, no other gradients."""
    rows = told(study, ["map", "svi"], tmp_path / "out")
    assert rows["map"]["passes"] == pytest.approx(20)
    assert rows["svi"]["passes"] == pytest.approx(10 + 20)  # warm start and steps


def test_an_arm_for_few_weights_is_left_out(study, tmp_path, capsys):
    small = Arm("small", "small", "map", (), most=5)
    assert [one["arm"] for one in compare(study, [small], tmp_path, True, Progress())] == [
        "reference",
        "halves",
    ]
    assert "no small, for more than 5 weights" in capsys.readouterr().err


def test_the_table_by_hand():
    study = Study("p", (), ())
    labels = torch.tensor([0, 1])
    a = torch.tensor([[[0.9, 0.1], [0.4, 0.6]]], dtype=torch.float64)
    b = torch.tensor([[0.6, 0.4], [0.7, 0.3]], dtype=torch.float64)
    one = row(study, ARMS[0], Fit(a, {"identity": {}, "seconds": 1234.4, "passes": None}), b, labels)
    assert one["agreement"] == 0.5
    assert one["total_variation"] == pytest.approx(0.3)
    assert one["nll"] == pytest.approx(-(torch.tensor(0.9).log() + torch.tensor(0.6).log()).item() / 2)
    reference = row(
        study, Arm("reference", "long", "hmc"), Fit(b[None], {"rhat_log_density": None}), b, labels
    )
    lines = markdown(pd.DataFrame([reference, one])).splitlines()
    assert lines[0] == "p"
    assert lines[4].startswith("| long |  |  | 0.500 |")
    assert lines[5].startswith("| MAP: plain KD | 0.500 | 0.300 | 1.000 |")
    assert lines[5].endswith("| 1,234 |  |")
    assert len(lines) == 6
