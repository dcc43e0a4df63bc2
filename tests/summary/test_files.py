"""A run's inference_data.nc, opened by ArviZ: every call that the documentation names, on files of real runs."""

import dataclasses
import warnings
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import tiny_runs
import torch

from mtbkd import pipeline
from mtbkd.draw_statistics import ess, rhat
from mtbkd.inference_data import one_vs_rest
from mtbkd.label_terms import label_terms
from mtbkd.posterior import Posterior
from mtbkd.prior_draws import DRAWS
from mtbkd.run_directory import RunDirectory
from mtbkd.summary import files
from mtbkd.summary.diagnosis import kind_of

az = pytest.importorskip("arviz")

# Enough draws for leave-one-out; two starts for the ensemble.
WORDS = {"hmc": ["inference.draws=60"], "svi": ["inference.draws=100"], "map": [], "ensemble": []}
QUICK = ["baseline.label_only_student=false", "baseline.kd_student=false"]


def run_of(folder: Path, inference: str, *words: str) -> Path:
    config = tiny_runs.resolved(
        *tiny_runs.tiny_overrides(folder, inference), *WORDS[inference], *QUICK, *words
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mtbkd.report.page.render", lambda content: content.title)
        pipeline.run(config, RunDirectory(folder / "run", {".hydra/config.yaml": "seed: 0\n"}), "mtbkd")
    return folder / "run"


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    return {name: run_of(tmp_path_factory.mktemp(name), name) for name in WORDS}


@pytest.fixture
def opened(runs):
    return {name: az.from_netcdf(folder / "inference_data.nc") for name, folder in runs.items()}


@pytest.fixture(autouse=True)
def no_window():
    with mpl.rc_context({"backend": "agg"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="arviz")
        yield
        plt.close("all")


DRAWN = pytest.mark.parametrize("name", ["hmc", "svi"])
EVERY = pytest.mark.parametrize("name", list(WORDS))


@EVERY
def test_groups(name, opened):
    groups = {"posterior", "posterior_predictive", "log_prior", "prior", "prior_predictive"}
    groups |= {"observed_data", "constant_data"}
    if name in ("hmc", "svi"):
        groups |= {"sample_stats", "log_likelihood"}
    assert set(opened[name].groups()) == groups


def test_it_tells_what_its_draws_are(opened):
    said = {name: data.attrs["draws_are"] for name, data in opened.items()}
    assert said["hmc"] == "draws of the posterior"
    assert "approximation" in said["svi"]
    assert "one point" in said["map"]
    assert "not draws" in said["ensemble"]


@EVERY
def test_the_prior_is_at_the_same_inputs(name, opened):
    data = opened[name]
    before, after = data.prior["probs"], data.posterior["probs"]
    assert before.shape == (1, DRAWS, *after.shape[2:])
    assert before["input"].values.tolist() == after["input"].values.tolist()
    np.testing.assert_allclose(before.sum("class"), 1, atol=1e-5)
    # three classes, alike before any data: 1/3 each, of 400 draws with a standard deviation of at most .48
    np.testing.assert_allclose(before.mean(["draw", "chain", "input"]), 1 / 3, atol=4 * 0.48 / DRAWS**0.5)


@EVERY
def test_summary_has_the_mean_prediction_of_the_run(name, runs, opened):
    data = opened[name]
    found = az.summary(data, var_names=["probs"], kind="stats", round_to=6)
    with np.load(runs[name] / "predictions.npz") as said:
        expected = said["test_student_mean"]
    np.testing.assert_allclose(found["mean"], expected.ravel(), atol=2e-6)
    assert len(az.summary(data)) == 1 + expected.size


def test_summary_has_our_effective_draws(opened):
    data = opened["hmc"]
    found = az.summary(data, var_names=["probs"], kind="diagnostics", round_to=10)
    probs = data.posterior["probs"].values
    np.testing.assert_allclose(found["ess_bulk"], ess(probs).ravel(), rtol=1e-6)
    np.testing.assert_allclose(found["ess_tail"], ess(probs, "tail").ravel(), rtol=1e-6)
    np.testing.assert_allclose(found["r_hat"], rhat(probs).ravel(), rtol=1e-6)


@DRAWN
def test_log_likelihood_is_of_the_labels_of_the_pool(name, runs, opened):
    data = opened[name]
    config = tiny_runs.resolved(*tiny_runs.tiny_overrides(runs[name].parent, name), *WORDS[name])
    problem = pipeline.prepare(config).data
    terms = data.log_likelihood["labelled_y"]
    labelled = problem.pool.y >= 0
    assert terms["labelled_input"].values.tolist() == problem.pool.ids[labelled.numpy()].astype(str).tolist()
    assert data.constant_data["labelled_y"].values.tolist() == problem.pool.y[labelled].tolist()
    probs = Posterior.load(runs[name] / "posterior").predict(problem.pool.x[labelled]).by_chain
    own = probs.gather(3, problem.pool.y[labelled].view(1, 1, -1, 1).expand(*probs.shape[:3], 1))[..., 0]
    np.testing.assert_allclose(terms, own.log(), atol=1e-5)


@DRAWN
def test_loo_is_importance_sampling_by_hand(name, opened):
    # log p(y_i | others) = -log E 1 / p(y_i | theta), without smoothing: near it where no label weighs much
    terms = opened[name].log_likelihood["labelled_y"].values.astype(float)
    by_hand = -np.log(np.exp(-terms).mean((0, 1)))
    found = az.loo(opened[name], pointwise=True)
    good = found.pareto_k.values < 0.5
    assert good.mean() > 0.5
    np.testing.assert_allclose(found.loo_i.values[good], by_hand[good], atol=0.02)
    assert found.n_data_points == terms.shape[-1]
    assert float(found.elpd_loo) == pytest.approx(found.loo_i.values.sum())


def test_two_runs_are_compared(opened):
    two = {name: opened[name] for name in ("hmc", "svi")}
    found = az.compare(two)
    alone = {name: float(az.loo(data).elpd_loo) for name, data in two.items()}
    for name, value in alone.items():
        assert found.loc[name, "elpd_loo"] == pytest.approx(value)
    assert found.index[0] == max(alone, key=alone.__getitem__)
    assert found["elpd_diff"].iloc[1] == pytest.approx(abs(alone["hmc"] - alone["svi"]))
    assert found["weight"].sum() == pytest.approx(1)
    rows = [data.log_likelihood["labelled_input"].values.tolist() for data in two.values()]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("name", ["map", "ensemble"])
def test_what_cannot_be_reweighted_has_no_loo(name, opened):
    with pytest.raises(TypeError, match="log likelihood not found"):
        az.loo(opened[name])


@DRAWN
def test_plots_of_draws(name, opened):
    data = opened[name]
    chains, draws = data.posterior.sizes["chain"], data.posterior.sizes["draw"]
    trace = az.plot_trace(data, var_names=["log_density"])
    assert trace.shape == (1, 2)
    assert [len(line.get_xdata()) for line in trace[0, 1].lines] == [draws] * chains
    ranks = az.plot_rank(data, var_names=["log_density"])
    assert sum(bar.get_height() for bar in ranks.patches) > 0
    evolution = az.plot_ess(data, var_names=["log_density"], kind="evolution")
    bulk = evolution.lines[0].get_ydata()
    assert bulk[-1] == pytest.approx(float(ess(data.posterior["log_density"].values)), rel=1e-6)
    assert az.plot_khat(az.loo(data, pointwise=True)).collections
    assert len(az.plot_trace(data)) == 2  # compact: the log density, and every probability


def test_energies(opened):
    data = opened["hmc"]
    axes = az.plot_energy(data)
    shown = [text.get_text() for text in axes.get_legend().get_texts()]
    assert sum("BFMI" in text for text in shown) == data.posterior.sizes["chain"]
    assert "energy" not in opened["svi"].sample_stats


@EVERY
def test_separation_of_each_class(name, opened):
    for label in tiny_runs.CLASSES:
        split = one_vs_rest(opened[name], label)
        axes = az.plot_separation(split, y="y", y_hat="y_hat")
        observed = int((opened[name].observed_data["y"] == tiny_runs.CLASSES.index(label)).sum())
        bars = [bar.get_alpha() for bar in axes.patches]  # 1 where it is the class, pale where not
        assert (bars.count(1), len(bars)) == (observed, opened[name].observed_data.sizes["input"])


@DRAWN
def test_predictive_checks(name, opened):
    assert az.plot_ppc(opened[name], num_pp_samples=10) is not None
    assert az.plot_ppc(opened[name], group="prior", num_pp_samples=10) is not None
    sensitive = az.psens(opened[name], component="prior")["probs"]
    assert sensitive.dims == ("input", "class")
    assert bool((sensitive >= 0).all())


@EVERY
def test_why_there_are_no_terms(name, runs, monkeypatch):
    config = tiny_runs.resolved(*tiny_runs.tiny_overrides(runs[name].parent, name))
    pool, own = pipeline.prepare(config).data.pool, Posterior.load(runs[name] / "posterior")
    kind = kind_of(own)
    if name in ("map", "ensemble"):
        assert "cannot be reweighted" in files.why_no_log_likelihood(pool, own, kind)
        return
    assert files.why_no_log_likelihood(pool, own, kind) is None
    unlabelled = dataclasses.replace(pool, y=torch.full_like(pool.y, -1))
    assert files.why_no_log_likelihood(unlabelled, own, kind) == "there are no labels"
    made = dataclasses.replace(pool, index=torch.full_like(pool.index, -1))
    assert "augmentation" in files.why_no_log_likelihood(made, own, kind)
    config = own.meta["config"] | {"posterior_temperature": 0.5}
    cold = dataclasses.replace(own, meta=own.meta | {"config": config})
    assert "posterior_temperature=0.5" in files.why_no_log_likelihood(pool, cold, kind)
    numbers = int((pool.y >= 0).sum()) * own.num_chains * own.num_draws
    monkeypatch.setattr(files, "MOST_TERMS", numbers)
    assert files.why_no_log_likelihood(pool, own, kind) is None
    monkeypatch.setattr(files, "MOST_TERMS", numbers - 1)
    assert f"{numbers:,} numbers are more than" in files.why_no_log_likelihood(pool, own, kind)


def test_a_run_on_top_of_a_posterior_has_its_prior(tmp_path, runs):
    earlier = Posterior.load(runs["svi"] / "posterior")
    folder = run_of(tmp_path, "svi", f"student.prior_from=[{runs['svi'] / 'posterior'}]")
    data = az.from_netcdf(folder / "inference_data.nc")
    problem = pipeline.prepare(tiny_runs.resolved(*tiny_runs.tiny_overrides(tmp_path, "svi"))).data
    said = earlier.predict(problem.test.x).mean.numpy()
    # the earlier posterior is nearly normal: its normal predicts about what it does
    np.testing.assert_allclose(data.prior["probs"].mean(["chain", "draw"]), said, atol=0.1)


def test_a_posterior_gives_the_same_by_itself(runs, opened):
    config = tiny_runs.resolved(*tiny_runs.tiny_overrides(runs["svi"].parent, "svi"), *WORDS["svi"])
    problem = pipeline.prepare(config).data
    own = Posterior.load(runs["svi"] / "posterior")
    data = own.to_arviz(problem.test.x, y=problem.test.y, fitted_to=problem)
    for group in ("prior", "log_likelihood", "posterior"):
        for variable in opened["svi"][group].data_vars:
            np.testing.assert_allclose(data[group][variable], opened["svi"][group][variable], atol=1e-5)
    assert torch.equal(label_terms(own, problem).y, problem.pool.y[problem.pool.y >= 0])
