import json

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from mtbkd.errors import InputError
from mtbkd.inference_data import one_vs_rest, to_inference_data
from mtbkd.label_terms import LabelTerms
from mtbkd.prior_draws import PriorDraws

az = pytest.importorskip("arviz")


@pytest.fixture(autouse=True)
def no_window():
    with mpl.rc_context({"backend": "agg"}):
        yield
        plt.close("all")


def chains(c: int = 4, s: int = 200, shape: tuple[int, ...] = (), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((c, s, *shape))


def probabilities(c: int = 2, s: int = 30, q: int = 3, k: int = 4) -> np.ndarray:
    e = np.exp(chains(c, s, (q, k)))
    return e / e.sum(-1, keepdims=True)


def example(**more):
    return to_inference_data(
        chains(2, 30),
        probabilities(),
        input_ids=["a", "b", "c"],
        class_names=["cat", "dog", "Lysosome/Vacuole", "fish"],
        rng=np.random.default_rng(0),
        **more,
    )


def full():
    return example(
        y=[0, 1, -1],
        sites={"layers.0.weight": chains(2, 30, (2, 3)), "a/b": chains(2, 30)},
        sample_stats={"diverging": np.zeros((2, 30), bool), "acceptance_rate": np.full((2, 30), 0.7)},
        teacher_names=["esm", "t5"],
        teacher_data={
            "probs": np.full((2, 3, 4), 0.25),
            "weights": np.full((3, 2), 0.5),
            "responsibilities": np.full((3, 2), 0.5),
        },
        labels=LabelTerms(-(chains(2, 30, (5,)) ** 2), [0, 1, 1, 2, 0], list("vwxyz")),
        log_prior=chains(2, 30, seed=2),
        prior=PriorDraws(chains(1, 50)[0], probabilities(1, 50)[0]),
        attrs={"engine": "hmc", "seed": 3, "ok": True, "config": {"a": [1, None]}, "none": None},
    )


def test_groups_dimensions_and_names():
    data = full()
    assert set(data.groups()) == {
        "posterior",
        "posterior_predictive",
        "log_likelihood",
        "log_prior",
        "prior",
        "prior_predictive",
        "sample_stats",
        "observed_data",
        "constant_data",
    }
    assert data.posterior["probs"].dims == ("chain", "draw", "input", "class")
    assert data.posterior["class"].values.tolist()[2] == "Lysosome/Vacuole"
    assert set(data.posterior.data_vars) == {"log_density", "probs", "layers.0.weight", "a.b"}
    assert data.constant_data["teacher_weights"].dims == ("input", "teacher")
    assert data.constant_data["teacher_probs"].sel(teacher="t5", input="b").shape == (4,)
    np.testing.assert_array_equal(data.posterior["probs"].values, probabilities())
    assert data.prior["probs"].dims == ("chain", "draw", "input", "class")
    np.testing.assert_array_equal(data.prior["probs"].values, probabilities(1, 50))
    assert data.log_likelihood["labelled_y"].sel(labelled_input="w", chain=1, draw=3) == -(
        chains(2, 30, (5,))[1, 3, 1] ** 2
    )
    assert data.constant_data["labelled_y"].sel(labelled_input="y") == 2
    np.testing.assert_array_equal(data.log_prior["weights"].values, chains(2, 30, seed=2))


def test_parts_not_given_are_left_out():
    assert set(example().groups()) == {"posterior", "posterior_predictive"}
    assert "observed_data" not in example(y=[-1, -1, -1]).groups()


def test_predictive_labels_follow_the_probabilities():
    sure = np.zeros((2, 30, 3, 4))
    sure[:, :, [0, 1, 2], [3, 0, 2]] = 1
    names = {"input_ids": list("abc"), "class_names": list("klmn")}
    data = to_inference_data(chains(2, 30), sure, **names, rng=np.random.default_rng(0))
    assert (data.posterior_predictive["y"].values == [3, 0, 2]).all()
    even = np.broadcast_to([0.5, 0.5, 0, 0], (2, 5000, 3, 4))
    drawn = to_inference_data(chains(2, 5000), even, **names, rng=np.random.default_rng(0))
    y = drawn.posterior_predictive["y"].values
    assert y.mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(30000))
    assert y.max() == 1


def test_opens_again_from_netcdf(tmp_path):
    data = full()
    data.to_netcdf(str(tmp_path / "x.nc"), engine="h5netcdf")
    again = az.from_netcdf(str(tmp_path / "x.nc"), engine="h5netcdf")
    np.testing.assert_array_equal(again.posterior["probs"].values, data.posterior["probs"].values)
    assert again.posterior["class"].values.tolist() == data.posterior["class"].values.tolist()
    assert again.sample_stats["diverging"].values.sum() == 0
    assert again.attrs["engine"] == "hmc"
    assert again.attrs["seed"] == 3
    assert json.loads(again.attrs["config"]) == {"a": [1, None]}
    assert json.loads(again.attrs["ok"]) is True
    assert json.loads(again.attrs["none"]) is None


def test_arviz_summary_and_plots_work():
    data = full()
    summary = az.summary(data, var_names=["log_density", "probs"])
    assert len(summary) == 1 + 3 * 4
    assert summary.loc["probs[a, cat]", "mean"] == pytest.approx(probabilities()[:, :, 0, 0].mean(), abs=1e-3)
    assert az.plot_trace(data, var_names=["log_density"]).shape == (1, 2)
    assert az.plot_rank(data, var_names=["log_density"]) is not None
    assert az.loo(data, var_name="labelled_y").n_data_points == 5


def test_one_vs_rest_feeds_plot_separation():
    data = example(y=[0, 1, 0])
    split = one_vs_rest(data, "cat")
    assert split.observed_data["y"].values.tolist() == [1, 0, 1]
    unknown = one_vs_rest(example(y=[0, -1, 2]), "cat")
    assert unknown.observed_data["y"].values.tolist() == [1, 0]
    assert unknown.posterior_predictive["y_hat"].coords["input"].values.tolist() == ["a", "c"]
    np.testing.assert_array_equal(split.posterior_predictive["y_hat"].values, probabilities()[..., 0])
    assert az.plot_separation(idata=split, y="y", y_hat="y_hat") is not None


@pytest.mark.parametrize(
    ("data", "name"), [({}, "cat"), ({"y": [-1, -1, -1]}, "cat"), ({"y": [0, 1, 0]}, "cow")]
)
def test_one_vs_rest_names_what_is_missing(data, name):
    with pytest.raises(InputError, match="cat, dog"):
        one_vs_rest(example(**data), name)


def test_wrong_shape_is_told():
    with pytest.raises(InputError, match=r"\[2, 30, 3, 4\].*\[2, 30, 2, 4\]"):
        to_inference_data(
            chains(2, 30),
            probabilities(),
            input_ids=["a", "b"],
            class_names=list("klmn"),
            rng=np.random.default_rng(0),
        )
    with pytest.raises(InputError, match=r"prior's probs has shape \[1, 50, 3, 2\].*\[1, 50, 3, 4\]"):
        example(prior=PriorDraws(np.zeros(50), np.ones((50, 3, 2))))
