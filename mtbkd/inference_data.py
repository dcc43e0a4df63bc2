"""Draws as ArviZ's InferenceData.

Draws are `[C, S, ...]`, chains first. The `posterior` group holds what is
identifiable, the log density and predictive probabilities at a few inputs, besides the sites it is handed:
single weights of a network are known only up to permutations and signs.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mtbkd.arviz_import import arviz
from mtbkd.errors import InputError

if TYPE_CHECKING:
    from arviz import InferenceData


def label_log_likelihood(chunks: Iterable[ArrayLike], y: ArrayLike, num_chains: int = 1) -> np.ndarray:
    """Log-likelihood of labels, from predictions that come a chunk of inputs at a time.

    chunks: class probabilities `[S, n, K]` of successive inputs, so that `[S, N, K]` is never held
    y: `[N]` class indices
    returns: `[C, S // C, N]`, for `to_inference_data(log_likelihood=...)`
    raises: InputError where the chunks do not cover y exactly
    """
    truth = np.asarray(y)
    parts, start = [], 0
    for chunk in chunks:
        p = np.asarray(chunk)
        rows = truth[start : start + p.shape[1]]
        if len(rows) < p.shape[1]:
            break
        with np.errstate(divide="ignore"):
            parts.append(np.log(p[:, np.arange(len(rows)), rows]))
        start += p.shape[1]
    if not parts or start != len(truth):
        raise InputError(
            f"log-likelihood: chunks fit {start} of {len(truth)} labels; give predictions of each"
        )
    flat = np.concatenate(parts, axis=1)
    return flat.reshape(num_chains, -1, len(truth))


def to_inference_data(
    log_density: ArrayLike,
    probs: ArrayLike,
    *,
    input_ids: Sequence[str],
    class_names: Sequence[str],
    rng: np.random.Generator,
    y: ArrayLike | None = None,
    sites: Mapping[str, ArrayLike] | None = None,
    sample_stats: Mapping[str, ArrayLike] | None = None,
    teacher_names: Sequence[str] = (),
    teacher_data: Mapping[str, ArrayLike] | None = None,
    log_likelihood: ArrayLike | None = None,
    labelled_ids: Sequence[str] | None = None,
    attrs: Mapping[str, object] | None = None,
) -> "InferenceData":
    """Draws as ArviZ's InferenceData, with named dimensions `input`, `class` and `teacher`.

    log_density: `[C, S]`; probs: `[C, S, Q, K]`, predictive probabilities at Q held-out inputs
    rng: draws the labels of the posterior_predictive group from `probs`
    y: `[Q]` labels of these inputs, into observed_data
    sites: sample sites by name, `[C, S, ...]`; sample_stats: `[C, S]` each, under ArviZ's names
    teacher_data: into constant_data; arrays over teachers and inputs, by name: `probs` `[M, Q, K]`,
        `weights` and `responsibilities` `[Q, M]`
    log_likelihood: `[C, S, L]` of the labels of L training inputs, whose names are `labelled_ids`
    attrs: facts about the run; what netCDF cannot hold is stored as JSON
    raises: InputError for shapes that do not fit the names
    """
    az = arviz()
    p = np.asarray(probs)
    c, s = np.shape(log_density)
    _check(p, (c, s, len(input_ids), len(class_names)))
    coords: dict[str, Sequence[str]] = {"input": list(input_ids), "class": list(class_names)}
    dims = {"log_density": [], "probs": ["input", "class"], "y": ["input"]}
    groups: dict[str, dict[str, np.ndarray] | None] = {
        "posterior": {"log_density": np.asarray(log_density), "probs": p, **_sites(sites or {})},
        "sample_stats": {name: np.asarray(value) for name, value in (sample_stats or {}).items()} or None,
        "posterior_predictive": {"y": _draw_labels(p, rng)},
        "observed_data": None if y is None else {"y": np.asarray(y)},
        "constant_data": None,
        "log_likelihood": None,
    }
    if teacher_data:
        coords["teacher"] = list(teacher_names)
        known = {"probs": ["teacher", "input", "class"], "weights": ["input", "teacher"]}
        known["responsibilities"] = known["weights"]
        named = {f"teacher_{name}": np.asarray(value) for name, value in teacher_data.items()}
        groups["constant_data"] = named
        dims |= {f"teacher_{name}": known[name] for name in teacher_data}
    if log_likelihood is not None:
        values = np.asarray(log_likelihood)
        ids = labelled_ids if labelled_ids is not None else [str(i) for i in range(values.shape[-1])]
        coords["labelled_input"] = list(ids)
        dims["labelled_y"] = ["labelled_input"]
        groups["log_likelihood"] = {"labelled_y": values}
    return az.from_dict(**groups, coords=coords, dims=dims, attrs=_netcdf_safe(attrs or {}))


def one_vs_rest(data: "InferenceData", class_name: str) -> "InferenceData":
    """One class against all others, as `az.plot_separation` wants it: `y` 0 or 1, `y_hat` its probability.

    data: what `to_inference_data` made, with observed labels
    raises: InputError for an unknown class or missing labels
    """
    names = [str(name) for name in data["posterior"]["class"].values]
    if class_name not in names or "observed_data" not in data.groups():
        raise InputError(f"one_vs_rest: '{class_name}' needs observed labels and one of: {', '.join(names)}")
    hat = data["posterior"]["probs"].sel({"class": class_name}).drop_vars("class")
    observed = data["observed_data"]["y"] == names.index(class_name)
    return arviz().InferenceData(
        posterior_predictive=hat.to_dataset(name="y_hat"),
        observed_data=observed.astype(int).to_dataset(name="y"),
    )


def _check(probs: np.ndarray, shape: tuple[int, ...]) -> None:
    if probs.shape != shape:
        raise InputError(
            f"inference data: probs has shape {list(probs.shape)}; "
            f"log density, input ids and class names ask for {list(shape)}"
        )


def _sites(sites: Mapping[str, ArrayLike]) -> dict[str, np.ndarray]:
    # a slash would be read as a group by netCDF
    return {name.replace("/", "."): np.asarray(value) for name, value in sites.items()}


def _draw_labels(probs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    # the last class is chosen by elimination, so that a sum of .9999 cannot miss
    below = probs.cumsum(-1)[..., :-1] <= rng.random((*probs.shape[:-1], 1))
    return below.sum(-1)


def _netcdf_safe(attrs: Mapping[str, object]) -> dict[str, str | int | float]:
    def safe(value: object) -> str | int | float:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return value
        return json.dumps(value, default=str)

    return {str(name): safe(value) for name, value in attrs.items()}
