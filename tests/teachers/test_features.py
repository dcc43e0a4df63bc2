"""What teachers' layers give: by hooks on the user's module, of an ensemble's first network, kept like predictions."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn

from mtbkd.errors import InputError
from mtbkd.teachers import BankCache, TeacherBank, TorchEnsembleTeacher, TorchTeacher
from mtbkd.teachers.ensemble import EnsembleConfig, EnsembleTeacher, build
from mtbkd.teachers.estimator import EstimatorConfig
from mtbkd.teachers.estimator import build as build_estimator
from mtbkd.teachers.features import ask_features, check_askable, known_layers
from mtbkd.teachers.networks import CNNs, StackedMLP
from mtbkd.teachers.teacher import Recipe


def module() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Tanh(), nn.Linear(6, 10))


def test_a_modules_layers_in_evaluation_mode(digits):
    network = module()
    teacher = TorchTeacher("a", network, batch_size=50, dropout_draws=3)
    got = teacher.features(digits.test, ["3", "4"])
    assert all(layer.training for layer in network.modules()), "the user's mode is restored"
    with torch.no_grad():
        expected = network[:4].eval()(digits.test.x)
    torch.testing.assert_close(got["3"], expected)
    torch.testing.assert_close(got["4"], network[4](expected).detach())
    assert teacher.layers == ("0", "1", "2", "3", "4")
    several = TorchEnsembleTeacher("b", [network, module()])
    torch.testing.assert_close(several.features(digits.test, ["3"])["3"], expected)


def test_a_transformers_layer_is_the_mean_of_its_tokens(digit_images):
    from transformers import ViTConfig, ViTForImageClassification

    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    torch.manual_seed(5)
    vit = ViTForImageClassification(ViTConfig(**sizes, image_size=8, patch_size=4, num_channels=1)).eval()
    teacher = TorchTeacher("vit", vit, output="logits", argument="pixel_values")
    layer = next(path for path in teacher.layers if path.endswith(".0") and "layer" in path)
    with torch.no_grad():
        states = vit(pixel_values=digit_images.test.x, output_hidden_states=True).hidden_states
    torch.testing.assert_close(teacher.features(digit_images.test, [layer])[layer], states[1].mean(1))


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_an_ensembles_features_are_its_first_networks(digits, digit_images, kind):
    torch.manual_seed(0)
    if kind == "mlp":
        network, rows = StackedMLP(3, (64,), [5, 4], 10), digits.test
    else:
        network, rows = CNNs(3, (1, 8, 8), [4], [6], 10), digit_images.test
    teacher = EnsembleTeacher("nets", "", network)
    *_, last_hidden, head = teacher.layers
    got = teacher.features(rows, [last_hidden, head])
    first = teacher.predict(rows)[0]
    torch.testing.assert_close(got[head], first, msg="the last layer is the first network's logits")
    weight, bias = (
        (network.weights[-1][0].T, network.biases[-1][0, 0])
        if kind == "mlp"
        else network.members[0][-1].parameters()
    )
    torch.testing.assert_close(got[last_hidden] @ weight.T + bias, first)
    assert bool((got[last_hidden] >= 0).all())


def test_a_recipe_knows_its_layers_untrained(digits, monkeypatch):
    monkeypatch.setattr(Recipe, "trained", lambda self, progress=None: pytest.fail("trained"))
    nets = build("nets", EnsembleConfig(members=2, hidden=[5]), digits, 0)
    forest = build_estimator("forest", EstimatorConfig(), digits, 0)
    assert known_layers(nets) == ("0", "1", "2", "3")
    assert known_layers(forest) == ()
    check_askable([nets, forest], {"nets": ["2"]})
    wrong = {
        "teacher 'forest' has no layers to learn from; .* kind torch_module or ensemble; of these: nets": {
            "forest": ["2"]
        },
        "no teacher 'nest'; did you mean 'nets'": {"nest": ["2"]},
        "layer '4' is not in teacher 'nets'; .*valid: 0, 1, 2, 3": {"nets": ["4"]},
    }
    for message, layers in wrong.items():
        with pytest.raises(InputError, match=message):
            check_askable([nets, forest], layers)


@dataclass
class Counting:
    """A teacher that counts how often its layers are asked for."""

    name: str = "counting"
    fingerprint: str = "one"
    layers: tuple[str, ...] = ("a", "b", "bad")
    asked: list = field(default_factory=list)

    def features(self, rows, layers: Sequence[str]) -> dict[str, Tensor]:
        self.asked.append(list(layers))
        return {layer: rows.x[:, : 2 + len(layer)] / (layer != "bad") for layer in layers}


def test_layers_are_asked_once_and_only_when_asked(digits, tmp_path):
    cache, teacher = BankCache(tmp_path), Counting()
    rows = digits.test
    assert list(tmp_path.glob("*/features.npy")) == []
    first = ask_features([teacher], {"counting": ["a"]}, rows, cache)
    both = ask_features([Counting(name="x"), teacher], {"counting": ["a", "b"]}, rows, cache)
    assert teacher.asked == [["a"], ["b"]]
    assert torch.equal(first["counting"]["a"], both["counting"]["a"])
    assert torch.equal(both["counting"]["b"], rows.x[:, :3])
    cache.features(teacher, digits.validation, ["a"])
    cache.features(Counting(fingerprint="two", asked=teacher.asked), rows, ["a"])
    assert teacher.asked[2:] == [["a"], ["a"]]
    manifests = [json.loads(path.read_text()) for path in tmp_path.glob("*/manifest.json")]
    assert sorted(manifest["layer"] for manifest in manifests) == ["a", "a", "a", "b"]
    assert not list(tmp_path.glob(".writing-*"))
    both["counting"]["a"] += 1  # memory-mapped, copied on write
    torch.testing.assert_close(cache.features(teacher, rows, ["a"])["a"], first["counting"]["a"])


def test_a_damaged_entry_is_asked_again(digits, tmp_path):
    cache, teacher = BankCache(tmp_path), Counting()
    whole = cache.features(teacher, digits.test, ["a"])["a"].clone()
    (path,) = tmp_path.glob("*/features.npy")
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.warns(UserWarning, match="damaged .* made again"):
        assert torch.equal(cache.features(teacher, digits.test, ["a"])["a"], whole)
    assert teacher.asked == [["a"], ["a"]]


def test_features_that_are_no_numbers_are_refused_and_not_kept(digits, tmp_path):
    with pytest.raises(InputError, match=r"layer 'bad': feature \d+ of row 0 is (inf|nan|-inf)"):
        BankCache(tmp_path).features(Counting(), digits.test, ["bad"])
    assert list(tmp_path.glob("*/features.npy")) == []


# ---- in the bank -------------------------------------------------------------------------------------------------


def test_a_bank_keeps_features_by_row_and_teacher():
    z = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    features = {"a": {"0": torch.arange(10.0).view(5, 2)}, "b": {"1": torch.ones(5, 1), "2": z[0]}}
    bank = TeacherBank.from_logits({"a": z[0], "b": z[1]}).with_features(features)
    taken = bank.take(torch.tensor([3, 1]))
    assert taken.features["a"]["0"].tolist() == [[6, 7], [2, 3]]
    assert list(bank.select(["b"]).features) == ["b"]
    assert bank.tempered(torch.tensor([2.0, 2.0])).features is features


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"c": {"0": torch.ones(5, 2)}}, "teacher 'c': not in the bank"),
        ({"a": {"0": torch.ones(4, 2)}}, r"layer '0': features have shape \(4, 2\); \[5, F\]"),
        ({"a": {"0": torch.ones(5)}}, r"features have shape \(5,\)"),
        ({"a": {"0": torch.full((5, 2), torch.nan)}}, "feature 0 of row 0 is nan"),
    ],
)
def test_features_of_other_teachers_or_rows_are_refused(features, message):
    bank = TeacherBank.from_logits({"a": torch.randn(5, 3, generator=torch.Generator().manual_seed(0))})
    with pytest.raises(InputError, match=message):
        bank.with_features(features)
