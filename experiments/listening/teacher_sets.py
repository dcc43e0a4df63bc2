"""Sets of teachers that only this study has, written as Hydra's files for `mtbkd --config-dir`.

Names and recipes of the good ones are the same in all sets of a family, so that each is trained once a seed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

Member = dict[str, Any]
Members = dict[str, Member]
HOW = ("permuted", "random")


def estimator(name: str, share: tuple[float, float], **params: float) -> Member:
    """A scikit-learn classifier on a share of the rows."""
    return {"kind": "estimator", "estimator": name, "params": params, "share": list(share)}


# Four point teachers of about the same worth, each of another half.
GOOD: Members = {
    "forest": estimator("random_forest", (0.0, 0.5), n_estimators=100),
    "svm": estimator("svc", (0.5, 1.0), C=5.0),
    "logistic": estimator("logistic_regression", (0.25, 0.75), C=1.0, max_iter=1000),
    "network": {
        **{"kind": "ensemble", "members": 1, "hidden": [64], "epochs": 40, "learning_rate": 0.01},
        "share": [0.0, 0.5],
    },
}


def with_broken(number: int, how: str) -> Members:
    """The four, the last `number` of them spoilt: `permuted` or `random`."""
    kept = len(GOOD) - number
    found = dict(list(GOOD.items())[:kept])
    for name, member in list(GOOD.items())[kept:]:
        of = {"of": member, "named": name} if how == "permuted" else {}
        found[f"{how}_{name}"] = {"kind": "broken", "how": how, **of}
    return found


def good_alone(number: int) -> Members:
    """The first of the four."""
    return dict(list(GOOD.items())[:number])


def of_tables() -> Members:
    """Three quick teachers of a small table."""
    return {
        "forest": estimator("random_forest", (0.0, 0.5), n_estimators=50),
        "logistic": estimator("logistic_regression", (0.25, 0.75), C=1.0, max_iter=1000),
        "bayes": estimator("gaussian_nb", (0.5, 1.0)),
    }


def all_sets() -> dict[str, Members]:
    """Every set, by name."""
    found = {"four_good": dict(GOOD), "two_good_alone": good_alone(2), "three_good_alone": good_alone(3)}
    for how in HOW:
        found |= {f"one_{how}": with_broken(1, how), f"two_{how}": with_broken(2, how)}
    return found | {"small_trio": of_tables()}


def write(folder: Path, sets: Mapping[str, Members] | None = None) -> Path:
    """Write `teachers/NAME.yaml` of each set below the folder, and return the folder."""
    (folder / "teachers").mkdir(parents=True, exist_ok=True)
    for name, members in (all_sets() if sets is None else sets).items():
        content: dict[str, Any] = {"name": name, "members": members, "cache": None, "trusted": []}
        path = folder / "teachers" / f"{name}.yaml"
        text = OmegaConf.to_yaml(OmegaConf.create(content))
        if not path.is_file() or path.read_text() != text:  # another command's runs may be reading it
            path.write_text(text)
    return folder
