"""ESM-2 features through a tiny randomly initialised model that the test saves: real loading, no download."""

import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mtbkd.data.esm_features import esm_features
from mtbkd.errors import InputError

transformers = pytest.importorskip("transformers", reason="the esm extra is not installed")

# The vocabulary of ESM-2, in its order.
VOCABULARY = ["<cls>", "<pad>", "<eos>", "<unk>", *"LAGVSERTIDPKQNFYMHWCXBUZO.-", "<null_1>", "<mask>"]
SEQUENCES = ["MVSWIISRLVV", "MKT", "ACDEFGHIKLMNPQRSTVWYUX", "GG"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("esm")
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY))
    transformers.EsmTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    config = transformers.EsmConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        pad_token_id=1,
        mask_token_id=VOCABULARY.index("<mask>"),
        position_embedding_type="rotary",
        token_dropout=True,
    )
    torch.manual_seed(0)
    transformers.EsmModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def by_hand(model, sequence, layer):
    """One unpadded sequence, tokens looked up here, the mean without its first and last position."""
    network = transformers.EsmModel.from_pretrained(model, add_pooling_layer=False).eval()
    tokens = torch.tensor([[0, *(VOCABULARY.index(a) for a in sequence), 2]])
    with torch.no_grad():
        hidden = network(tokens, output_hidden_states=True).hidden_states[layer]
    return hidden[0, 1:-1].mean(0).numpy()


@pytest.mark.parametrize("layer", [-1, 1, 0])
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_batched_padded_means_equal_single_unpadded_ones(model, layer, batch_size):
    features = esm_features(SEQUENCES, str(model), layer=layer, batch_size=batch_size)
    expected = np.stack([by_hand(model, s, layer) for s in SEQUENCES])
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, expected, atol=1e-5)


def test_long_sequences_are_cut(model):
    cut = esm_features(SEQUENCES, str(model), max_length=3)
    np.testing.assert_allclose(cut[2], by_hand(model, "ACD", -1), atol=1e-5)
    np.testing.assert_allclose(cut[3], by_hand(model, "GG", -1), atol=1e-5)


def test_a_layer_that_is_not_there_is_named(model):
    with pytest.raises(InputError, match=r"esm_layer is 3; .* hidden states 0\.\.2"):
        esm_features(SEQUENCES, str(model), layer=3)


@pytest.mark.parametrize("device", ["cuda:99", "gpu"])
def test_a_device_that_is_not_there_is_named(model, device):
    with pytest.raises(InputError, match=f"esm_device '{device}' cannot be used"):
        esm_features(SEQUENCES, str(model), device=device)


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(InputError, match=r"esm_model '.*nothing' cannot be loaded"):
        esm_features(SEQUENCES, str(tmp_path / "nothing"))


def test_weights_that_are_not_safetensors_are_refused(model, tmp_path):
    for name in ("config.json", "vocab.txt", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((model / name).read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"whatever")
    with pytest.raises(InputError, match=r"cannot be loaded .*safetensors"):
        esm_features(SEQUENCES, str(tmp_path))


def test_truncated_weights_are_told(model, tmp_path):
    for file in model.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"cannot be loaded"):
        esm_features(SEQUENCES, str(tmp_path))


def test_weights_the_file_lacks_are_not_made_up(model, tmp_path):
    for file in model.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    lacking = next(name for name in weights if name.endswith("1.output.dense.weight"))
    del weights[lacking]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=rf"1 weights are not in its file, first '{lacking}'"):
        esm_features(SEQUENCES, str(tmp_path))


def test_without_transformers_the_extra_is_named(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"pip install 'mtbkd\[esm\]'"):
        esm_features(SEQUENCES, str(model))
