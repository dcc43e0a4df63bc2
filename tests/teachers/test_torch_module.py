"""torch modules as teachers: modes, dropout draws, pretrained weights by name."""

import dataclasses

import pytest
import torch
from safetensors.torch import save_model
from torch import nn

from mtbkd.errors import InputError
from mtbkd.teachers import TorchEnsembleTeacher, TorchTeacher
from mtbkd.teachers.coverage import Columns
from mtbkd.teachers.torch_module import TorchModuleConfig, build


def network(width: int = 6, classes: int = 10, dropout: float = 0.0) -> nn.Module:
    layers = [nn.Flatten(), nn.Linear(64, width), nn.BatchNorm1d(width), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(width, classes))


def vit(heads: int = 2, labels: int = 10) -> nn.Module:
    """A small vision transformer, as a pretrained teacher would come from transformers."""
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=heads,
        intermediate_size=16,
        image_size=8,
        patch_size=4,
        num_channels=1,
        num_labels=labels,
    )
    return ViTForImageClassification(config)


def bert(labels: int = 10) -> nn.Module:
    """A small text model that reads rows of pixels as token embeddings."""
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=5,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=labels,
        hidden_dropout_prob=0.2,
    )
    return BertForSequenceClassification(config)


def number() -> int:
    return 3


HERE = __name__


def test_logits_and_modes(digits):
    torch.manual_seed(0)
    module = network()
    module[2].eval()  # a user may have frozen a layer
    modes = [layer.training for layer in module.modules()]
    teacher = TorchTeacher("a", module, batch_size=50)
    z = teacher.predict(digits.test)
    assert [layer.training for layer in module.modules()] == modes
    assert module[2].num_batches_tracked == 0
    with torch.no_grad():
        torch.testing.assert_close(z, module.eval()(digits.test.x))
    assert not z.requires_grad
    assert teacher.size() == (64 * 6 + 6 + 12 + 6 * 10 + 10, 4 * 472)


def test_the_mode_is_restored_after_a_failure(digits):
    module = nn.Sequential(nn.Linear(5, 10))
    with pytest.raises(RuntimeError):
        TorchTeacher("a", module).predict(digits.test)
    assert module.training


def test_dropout_draws(digits):
    torch.manual_seed(0)
    module = network(dropout=0.5)
    before = torch.get_rng_state()
    z = TorchTeacher("a", module, dropout_draws=400, seed=1).predict(digits.test)
    assert torch.equal(torch.get_rng_state(), before)
    assert z.shape == (400, len(digits.test), 10)
    assert torch.equal(z, TorchTeacher("a", module, dropout_draws=400, seed=1).predict(digits.test))
    assert not torch.equal(z, TorchTeacher("a", module, dropout_draws=400, seed=2).predict(digits.test))
    assert all(layer.training for layer in module.modules())
    assert module[2].num_batches_tracked == 0  # batch norm stayed in evaluation mode
    # The layer after dropout is linear, so the draws average to the network without dropout.
    point = TorchTeacher("a", module).predict(digits.test)
    error = z.std(0) / 400**0.5
    assert ((z.mean(0) - point).abs() < 5 * error + 1e-6).all()


def test_dropout_needs_a_dropout_layer(digits):
    with pytest.raises(InputError, match="no dropout layer; use dropout_draws 0"):
        TorchTeacher("a", network(), dropout_draws=3).predict(digits.test)


def test_ensembles_are_draws(digits):
    torch.manual_seed(0)
    modules = [network(), network(4)]
    teacher = TorchEnsembleTeacher("nets", modules)
    z = teacher.predict(digits.test)
    for draw, module in zip(z, modules, strict=True):
        torch.testing.assert_close(draw, TorchTeacher("a", module).predict(digits.test))
    assert teacher.fingerprint != TorchEnsembleTeacher("nets", modules[:1]).fingerprint
    with pytest.raises(InputError, match="no modules"):
        TorchEnsembleTeacher("nets", [])


def test_an_ensembles_draws_are_of_the_same_classes_and_view(digits):
    modules = [nn.Sequential(nn.Flatten(), nn.Linear(64, 2)) for _ in range(2)]
    columns = Columns.named("nets", ["5", "3"], digits.class_names)
    teacher = TorchEnsembleTeacher("nets", modules, columns=columns, view="image")
    z = teacher.predict(digits.test)
    assert teacher.known == (3, 5)
    for draw, module in zip(z, modules, strict=True):
        torch.testing.assert_close(draw[:, [5, 3]], module(digits.test.views["image"]).detach())
    assert TorchEnsembleTeacher("nets", modules).fingerprint != teacher.fingerprint


def test_fingerprints_see_weights_settings_and_how_it_is_asked():
    torch.manual_seed(0)
    module = network()
    first = TorchTeacher("a", module)
    prints = [first.fingerprint, TorchTeacher("a", module, dropout_draws=2).fingerprint]
    module[2].eps = 0.1  # no weight, but other predictions
    prints.append(first.fingerprint)
    with torch.no_grad():
        module[1].weight[0, 0] += 1
    prints.append(first.fingerprint)
    assert len(set(prints)) == 4
    assert first.fingerprint == TorchTeacher("other name", module).fingerprint
    module.eval()
    assert first.fingerprint == prints[-1]  # the mode is not part of it


def test_attention_heads_are_part_of_the_fingerprint():
    two, four = vit(2), vit(4)
    four.load_state_dict(two.state_dict())
    assert TorchTeacher("a", two).fingerprint != TorchTeacher("a", four).fingerprint


def test_a_pretrained_transformer(digit_images, tmp_path):
    torch.manual_seed(5)
    original = vit()
    with torch.no_grad():
        expected = original.eval()(pixel_values=digit_images.test.x).logits
    asked = {"output": "logits", "argument": "pixel_values"}
    save_model(original, tmp_path / "vit.safetensors")
    by_weights = TorchModuleConfig(f"{HERE}:vit", weights=str(tmp_path / "vit.safetensors"), **asked)
    torch.testing.assert_close(build("a", by_weights, digit_images, 0).predict(digit_images.test), expected)
    # A folder as transformers itself writes it, by transformers' own factory.
    original.save_pretrained(tmp_path / "folder")
    by_folder = TorchModuleConfig(
        "transformers:AutoModelForImageClassification.from_pretrained",
        kwargs={"pretrained_model_name_or_path": str(tmp_path / "folder")},
        **asked,
    )
    torch.testing.assert_close(build("a", by_folder, digit_images, 0).predict(digit_images.test), expected)


def test_a_pretrained_text_model_with_dropout(digits, tmp_path):
    torch.manual_seed(5)
    original = bert()
    save_model(original, tmp_path / "bert.safetensors")
    rows = dataclasses.replace(digits.pool, x=digits.pool.x.reshape(-1, 8, 8))
    data = dataclasses.replace(
        digits, pool=rows, test=dataclasses.replace(digits.test, x=digits.test.x.reshape(-1, 8, 8))
    )
    config = TorchModuleConfig(
        f"{HERE}:bert",
        weights=str(tmp_path / "bert.safetensors"),
        output="logits",
        argument="inputs_embeds",
        dropout_draws=4,
    )
    z = build("bert", config, data, 0).predict(data.test)
    assert z.shape == (4, len(data.test), 10)
    assert bool((z.std(0) > 0).all())


def test_raw_inputs(digits):
    torch.manual_seed(0)
    module = network().eval()
    raw = TorchTeacher("a", module, inputs="raw").predict(digits.test)
    with torch.no_grad():
        grey_levels = torch.from_numpy(digits.test.raw).flatten(1)
        torch.testing.assert_close(raw, module(grey_levels), rtol=1e-4, atol=1e-4)
    words = dataclasses.replace(digits.test, raw=digits.test.ids)
    with pytest.raises(InputError, match="not numbers; choose inputs: transformed"):
        TorchTeacher("a", module, inputs="raw").predict(words)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"factory": "no_colon"}, "write package.module:function"),
        ({"factory": "no_such_package:f"}, "cannot be imported.*PYTHONPATH"),
        ({"factory": f"{HERE}:no_such_function"}, "cannot be imported"),
        ({"factory": f"{HERE}:HERE"}, "is a str, not a function"),
        ({"factory": f"{HERE}:number"}, "returned int; an nn.Module is needed"),
        ({"factory": f"{HERE}:network", "kwargs": {"widht": 3}}, "does not take these kwargs.*widht"),
        ({"factory": f"{HERE}:network", "kwargs": {"classes": 7}}, "gives 7 classes, the data has 10"),
        ({"factory": f"{HERE}:network", "weights": "no_such.safetensors"}, "no file 'no_such.safetensors'"),
    ],
)
def test_factories_that_do_not_serve(fields, message, digits):
    with pytest.raises(InputError, match=message):
        build("a", TorchModuleConfig(**fields), digits, 0)


def test_results_that_are_no_logits(digit_images):
    with pytest.raises(InputError, match=r"not logits .*name the attribute that holds them in `output`"):
        build("vit", TorchModuleConfig(f"{HERE}:vit"), digit_images, 0)
    with pytest.raises(InputError, match="has no 'logit'; did you mean 'logits'"):
        build("vit", TorchModuleConfig(f"{HERE}:vit", output="logit"), digit_images, 0)


def test_weights_of_another_module_and_damaged_files(digits, tmp_path):
    path = tmp_path / "w.safetensors"
    save_model(network(width=7), path)
    with pytest.raises(InputError, match=r"w\.safetensors does not fit the module.*size mismatch"):
        build("a", TorchModuleConfig(f"{HERE}:network", weights=str(path)), digits, 0)
    save_model(nn.Linear(64, 10), path)
    with pytest.raises(InputError, match=r"does not fit the module.*Missing key"):
        build("a", TorchModuleConfig(f"{HERE}:network", weights=str(path)), digits, 0)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="no safetensors file, or truncated"):
        build("a", TorchModuleConfig(f"{HERE}:network", weights=str(path)), digits, 0)


# ---- some of the classes -----------------------------------------------------------------------------------------
def test_outputs_find_their_classes_by_name_and_null_leaves_one_out(digits):
    config = TorchModuleConfig(f"{HERE}:network", {"classes": 3}, classes=["7", None, "2"])
    teacher = build("a", config, digits, 0)
    assert teacher.known == (2, 7)
    z, own = teacher.predict(digits.test), teacher.module.eval()(digits.test.x)
    torch.testing.assert_close(z[:, [7, 2]], own[:, [0, 2]].detach())
    assert (z[:, [0, 1, 3, 4, 5, 6, 8, 9]] == -torch.inf).all()
    whole = build("a", TorchModuleConfig(f"{HERE}:network", {"classes": 10}), digits, 0)
    assert whole.known is None
    swapped = [str(k) for k in range(9, -1, -1)]
    turned = build("a", TorchModuleConfig(f"{HERE}:network", {"classes": 10}, classes=swapped), digits, 0)
    assert turned.known is None
    torch.testing.assert_close(turned.predict(digits.test), whole.predict(digits.test).flip(-1))
    assert turned.fingerprint != whole.fingerprint


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["7", "2"], "has 3 columns for 2 classes"),
        (["7", "2", "eleven"], "its class 'eleven' is not among the data's classes"),
        (None, "gives 3 classes, the data has 10.*or name its own in classes"),
    ],
)
def test_outputs_without_a_class_are_refused(digits, classes, message):
    with pytest.raises(InputError, match=message):
        build("a", TorchModuleConfig(f"{HERE}:network", {"classes": 3}, classes=classes), digits, 0)
