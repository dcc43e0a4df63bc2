"""Draws as ArviZ's InferenceData: named dimensions, and what is identifiable.

Draws are `[C, S, ...]`, chains first. The `posterior` group holds the log density and predictive probabilities at a few
inputs, besides the sites it is handed: single weights of a network are known only up to permutations and signs.
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mtbkd.arviz_import import arviz
from mtbkd.errors import InputError

if TYPE_CHECKING:
    from arviz import InferenceData

    from mtbkd.label_terms import LabelTerms
    from mtbkd.prior_draws import PriorDraws


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
    labels: "LabelTerms | None" = None,
    log_prior: ArrayLike | None = None,
    prior: "PriorDraws | None" = None,
    attrs: Mapping[str, object] | None = None,
) -> "InferenceData":
    """Draws as ArviZ's InferenceData, with named dimensions `input`, `class`, `teacher` and `labelled_input`.

    log_density: `[C, S]`; probs: `[C, S, Q, K]`, predictive probabilities at Q held-out inputs
    rng: draws the labels of the groups posterior_predictive and prior_predictive from `probs`
    y: `[Q]` labels of these inputs, -1 unknown, into observed_data where any is known
    sites: sample sites by name, `[C, S, ...]`; sample_stats: `[C, S]` each, under ArviZ's names
    teacher_data: into constant_data; arrays over teachers and inputs, by name: `probs` `[M, Q, K]`,
        `weights` and `responsibilities` `[Q, M]`
    labels: into log_likelihood, as `labelled_y`, and constant_data
    log_prior: `[C, S]` log-density of the weight prior at each draw, into the group log_prior
    prior: into prior and prior_predictive
    attrs: facts about the run; what netCDF cannot hold is stored as JSON
    raises: InputError for shapes that do not fit the names
    """
    # In float64: ArviZ's densities fail where float32 cannot tell 512 places of the range apart.
    p = np.asarray(probs, np.float64)
    c, s = np.shape(log_density)
    _check("probs", p, (c, s, len(input_ids), len(class_names)))
    coords: dict[str, Sequence[str]] = {"input": list(input_ids), "class": list(class_names)}
    dims = {"probs": ["input", "class"], "y": ["input"]}
    constant: dict[str, np.ndarray] = {}
    groups: dict[str, dict[str, np.ndarray]] = {
        "posterior": {"log_density": np.asarray(log_density, np.float64), "probs": p, **_sites(sites or {})},
        "sample_stats": {name: _doubled(value) for name, value in (sample_stats or {}).items()},
        "posterior_predictive": {"y": _draw_labels(p, rng)},
        "observed_data": {} if y is None or np.max(y, initial=-1) < 0 else {"y": np.asarray(y)},
    }
    if prior is not None:
        density = np.asarray(prior.log_prior, np.float64)[None]
        drawn = np.asarray(prior.probs, np.float64)[None]
        _check("the prior's probs", drawn, (*density.shape, *p.shape[2:]))
        groups["prior"] = {"log_prior": density, "probs": drawn}
        groups["prior_predictive"] = {"y": _draw_labels(drawn, rng)}
    if teacher_data:
        coords["teacher"] = list(teacher_names)
        known = {"probs": ["teacher", "input", "class"], "weights": ["input", "teacher"]}
        known["responsibilities"] = known["weights"]
        constant |= {f"teacher_{name}": np.asarray(value) for name, value in teacher_data.items()}
        dims |= {f"teacher_{name}": known[name] for name in teacher_data}
    if labels is not None:
        coords["labelled_input"] = list(labels.ids)
        dims["labelled_y"] = ["labelled_input"]
        groups["log_likelihood"] = {"labelled_y": np.asarray(labels.log_likelihood)}
        constant["labelled_y"] = np.asarray(labels.y)
    groups["constant_data"] = constant
    az = arviz()
    filled = {name: group for name, group in groups.items() if group}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="More chains")  # an ensemble's, of one draw each
        data = az.from_dict(**filled, coords=coords, dims=dims, attrs=_netcdf_safe(attrs or {}))
    if log_prior is not None:  # for az.psens
        data.add_groups(log_prior={"weights": _doubled(log_prior)})
    return data


def one_vs_rest(data: "InferenceData", class_name: str) -> "InferenceData":
    """One class against all others, as `az.plot_separation` wants it: `y` 0 or 1, `y_hat` its probability.

    data: what `to_inference_data` made, with observed labels; inputs of unknown label are left out
    raises: InputError for an unknown class or where no label is known
    """
    names = [str(name) for name in data["posterior"]["class"].values]
    y = data["observed_data"]["y"].values if "observed_data" in data.groups() else np.array([])
    known = np.flatnonzero(y >= 0)
    if class_name not in names or not len(known):
        raise InputError(f"one_vs_rest: '{class_name}' needs observed labels and one of: {', '.join(names)}")
    hat = data["posterior"]["probs"].isel(input=known).sel({"class": class_name}).drop_vars("class")
    observed = data["observed_data"]["y"].isel(input=known) == names.index(class_name)
    return arviz().InferenceData(
        posterior_predictive=hat.to_dataset(name="y_hat"),
        observed_data=observed.astype(int).to_dataset(name="y"),
    )


def _check(what: str, probs: np.ndarray, shape: tuple[int, ...]) -> None:
    if probs.shape != shape:
        raise InputError(
            f"inference data: {what} has shape {list(probs.shape)}; "
            f"log density, input ids and class names ask for {list(shape)}"
        )


def _sites(sites: Mapping[str, ArrayLike]) -> dict[str, np.ndarray]:
    # a slash would be read as a group by netCDF
    return {name.replace("/", "."): np.asarray(value) for name, value in sites.items()}


def _doubled(values: ArrayLike) -> np.ndarray:
    x = np.asarray(values)
    return x.astype(np.float64) if x.dtype.kind == "f" else x


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
