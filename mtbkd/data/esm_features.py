"""ESM-2 features of a protein: the mean of a pretrained language model's residue embeddings.

Lin et al., Evolutionary-scale prediction of atomic-level protein structure with a language model, 2023.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mtbkd.errors import InputError
from mtbkd.progress import TerminalProgress


def esm_features(
    sequences: Sequence[str] | np.ndarray,
    model: str,
    layer: int = -1,
    batch_size: int = 8,
    max_length: int = 1022,
    device: str = "cpu",
) -> np.ndarray:
    """Mean embedding `[n, hidden]` float32 of each sequence's residues, without special tokens and padding.

    model: folder with config, tokenizer and safetensors weights, or a name on the Hugging Face hub
    layer: hidden state to take, 0 the input embeddings, -1 the last; max_length: residues read of each
    Raises `InputError` where transformers is missing, the model cannot be loaded, it has no such layer
    or the device cannot be used.
    """
    tokenizer, network = _load(model)
    depth = network.config.num_hidden_layers
    if not -(depth + 1) <= layer <= depth:
        raise InputError(
            f"data.esm_layer is {layer}; '{model}' has hidden states 0..{depth}, or -1 for the last"
        )
    try:
        network = network.float().eval().to(device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"data.esm_device '{device}' cannot be used ({error}); choose cpu") from error
    longest_first = np.argsort([-len(s) for s in sequences], kind="stable")
    batches = [longest_first[i : i + batch_size] for i in range(0, len(sequences), batch_size)]
    features = np.empty((len(sequences), network.config.hidden_size), np.float32)
    with TerminalProgress().stage("ESM-2 features", len(batches)) as advance:
        for rows in batches:
            texts = [str(sequences[i]) for i in rows]
            features[rows] = _mean_embeddings(texts, tokenizer, network, layer, max_length, device)
            advance()
    return features


def _mean_embeddings(
    sequences: list[str], tokenizer: Any, network: Any, layer: int, max_length: int, device: str
) -> np.ndarray:
    tokens = tokenizer(
        sequences,
        return_tensors="pt",
        padding=True,
        truncation=True,
        max_length=max_length + 2,  # with the two special tokens
        return_special_tokens_mask=True,
    )
    residue = (tokens.pop("special_tokens_mask") == 0).unsqueeze(-1).to(device)
    with torch.inference_mode():
        hidden = network(**tokens.to(device), output_hidden_states=True).hidden_states[layer]
    return ((hidden * residue).sum(1) / residue.sum(1)).cpu().numpy()


def _load(model: str) -> tuple[Any, Any]:
    try:
        from transformers import AutoTokenizer, EsmModel
    except ImportError as error:
        raise InputError(
            "data.features=esm2 needs the transformers package; install it with: pip install 'mtbkd[esm]'"
        ) from error
    from safetensors import SafetensorError

    try:
        tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
        found: Any = EsmModel.from_pretrained(
            model, use_safetensors=True, add_pooling_layer=False, output_loading_info=True
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(
            f"data.esm_model '{model}' cannot be loaded ({error}); give a folder with config.json, "
            "vocab.txt and model.safetensors, or a name on the Hugging Face hub"
        ) from error
    network, report = found
    # transformers fills what a file lacks with random numbers; the contact head plays no part in embeddings
    absent = sorted(key for key in report["missing_keys"] if not key.startswith("contact_head"))
    if absent:
        raise InputError(
            f"data.esm_model '{model}': {len(absent)} weights are not in its file, first '{absent[0]}'; "
            "give the weights of a whole ESM-2 model"
        )
    return tokenizer, network
