"""The configuration of hints, and a run with them from the command's words to the loaded posterior."""

import json

import pytest
import tiny_runs
import torch

from mtbkd.errors import InputError
from mtbkd.features.hints import HintsConfig, build
from mtbkd.pipeline import run
from mtbkd.posterior import Posterior
from mtbkd.problem import prepare
from mtbkd.run_directory import RunDirectory
from mtbkd.students import mlp
from mtbkd.teachers.bank import TeacherBank

NETS = "+teachers.members.nets={kind: ensemble, members: 2, hidden: [5], epochs: 1}"


def test_layers_numbered_by_yaml_are_text():
    assert HintsConfig(layers={"nets": {2: 1, "body.0": "0"}}).pairs == {"nets": {"2": "1", "body.0": "0"}}


def test_the_configuration_names_what_is_built():
    features = {"a": {"2": torch.eye(4)}}
    bank = TeacherBank.from_logits({"a": torch.zeros(4, 3)}).with_features(features)
    transfer = build(HintsConfig(layers={"a": {2: 1}}, strength=0.3, projector_scale=2.0), bank)
    assert (transfer.strength, transfer.projector_scale) == (0.3, 2.0)
    assert transfer.hints[0].student_layer == "1"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"layers": {"nets": "2"}}, "features.layers.nets is 2; write {its layer: the student's layer}"),
        ({"layers": {"nets": {}}}, "features.layers.nets is {}"),
        ({"strength": -0.1}, "features.strength is -0.1"),
        ({"projector_scale": 0.0}, "features.projector_scale is 0.0"),
    ],
)
def test_configurations_are_checked(fields, message):
    with pytest.raises(InputError, match=message):
        HintsConfig(**fields)


def words(folder, *more: str) -> list[str]:
    return [*tiny_runs.tiny_overrides(folder), NETS, "features=hints", *more]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("{nets:{2:9}}", r"layer '9' is not in network MLP; .*valid: 0, 1, 2"),
        ("{nets:{9:1}}", r"layer '9' is not in teacher 'nets'; .*valid: 0, 1, 2, 3"),
        ("{first:{2:1}}", r"teacher 'first' has no layers to learn from; .*of these: nets"),
        ("{nest:{2:1}}", "no teacher 'nest'; did you mean 'nets'"),
    ],
)
def test_wrong_layers_are_found_before_anything_is_trained(tmp_path, layers, message):
    with pytest.raises(InputError, match=message):
        prepare(tiny_runs.resolved(*words(tmp_path, f"features.layers={layers}")))


def test_hints_without_layers_ask_for_them(tmp_path):
    with pytest.raises(InputError, match="layers must be given: write features"):
        tiny_runs.resolved(*words(tmp_path))


def test_a_run_with_hints(tmp_path, monkeypatch):
    monkeypatch.setattr("mtbkd.report.page.render", lambda content: str(content.facts))
    config = tiny_runs.resolved(*words(tmp_path, "features.layers={nets:{2:1}}"))
    run(config, RunDirectory(tmp_path / "run"), "mtbkd")
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    weights = 2 * 4 + 4 + 4 * 3 + 3
    assert metrics["student"]["parameters"] == weights, "what predicts, without the projector"
    assert "Feature transfer" in (tmp_path / "run" / "report.html").read_text()
    posterior = Posterior.load(tmp_path / "run" / "posterior")
    assert posterior.values["projector.nets.2"].shape == (1, 1, 5, 4)
    assert posterior.predict(torch.zeros(1, 2)).probs.shape == (1, 1, 3)
    plain = Posterior.load(tmp_path / "run" / "posterior", mlp(2, [4], 3))
    torch.testing.assert_close(
        plain.predict(torch.zeros(1, 2)).probs, posterior.predict(torch.zeros(1, 2)).probs
    )
