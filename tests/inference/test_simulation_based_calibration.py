"""Ranks of true weights among an engine's draws are uniform, and the same test hears a prior 20 % too wide.

What the simulation itself needs (draws of the weights, ranks, the chi-square) is tested first, against other ways.
"""

import numpy as np
import pytest
import torch
from scipy import stats

from experiments.simulation_based_calibration import (
    BINS,
    CASES,
    CLASSES,
    DRAWS,
    LABELLED,
    PRIOR_SCALE,
    RIGHT,
    ROWS,
    WRONG,
    all_uniform,
    counts,
    draw_labels,
    draw_weights,
    log_probs,
    markdown,
    p_value,
    picture,
    ranks,
    student_of,
    teacher_factor,
    world,
)
from mtbkd.density import Density

# Data sets a case: ten a bin.
SETS = 160


def weights(case, number=6):
    student = student_of(case)
    dim = sum(shape.numel() for shape in student.skeleton.shapes.values())
    generator = torch.Generator().manual_seed(3)
    return student, torch.randn(number, dim, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("name", ["hmc", "hmc_hidden"])
def test_what_is_drawn_from_is_the_students_own_log_joint(name):
    """Normal prior, Dirichlet mixtures and labels by plain formulas, up to the constant that the student leaves out."""
    case = CASES[name]
    student, theta = weights(case)
    y = torch.arange(ROWS) % CLASSES
    y[LABELLED:] = -1
    density = Density(student, student.rows((world().x, y)), dtype=torch.float64)
    log_q = log_probs(case, theta, world().x)
    labelled = torch.arange(LABELLED)
    by_hand = torch.distributions.Normal(0.0, PRIOR_SCALE).log_prob(theta).sum(-1)
    by_hand += teacher_factor(log_q) + log_q[:, labelled, y[:LABELLED]].sum(-1)
    difference = density.log_prob(theta) - by_hand
    torch.testing.assert_close(difference, difference[:1].expand(len(theta)), rtol=0, atol=1e-4)


def test_weights_by_rejection_have_the_moments_of_weighted_draws():
    case = CASES["hmc"]
    kept = draw_weights(case, 2000, torch.Generator().manual_seed(1))
    theta = torch.randn(
        200_000, kept.shape[1], generator=torch.Generator().manual_seed(2), dtype=torch.float64
    )
    share = torch.softmax(teacher_factor(log_probs(case, theta, world().x)), 0)
    effective = 1 / share.square().sum()
    mean, square = share @ theta, share @ theta.square()
    error = (square - mean.square()).sqrt() * (1 / len(kept) + 1 / effective).sqrt()
    assert ((kept.mean(0) - mean) / error).abs().max() < 4
    assert mean.abs().max() > 0.3  # the teachers move the weights: a prior without them would be seen
    assert (kept.square().mean(0) / square - 1).abs().max() < 0.15


def test_labels_are_drawn_by_the_networks_probabilities():
    case = CASES["hmc"]
    _, theta = weights(case, 1)
    y = draw_labels(case, theta.expand(4000, -1), torch.Generator().manual_seed(0))
    assert (y[:, LABELLED:] == -1).all()
    share = torch.nn.functional.one_hot(y[:, :LABELLED]).double().mean(0)
    probs = log_probs(case, theta, world().x)[0, :LABELLED].exp()
    assert ((share - probs) / (probs * (1 - probs) / 4000).sqrt()).abs().max() < 4


def test_ranks_are_counted_and_tested_as_by_hand():
    column = np.array([0, 3, 4, DRAWS])
    assert counts(column).tolist() == [2, 1, *[0] * (BINS - 3), 1]
    expected = len(column) / BINS
    statistic = sum((n - expected) ** 2 / expected for n in counts(column))
    assert p_value(column) == pytest.approx(stats.chi2.sf(statistic, BINS - 1))
    even = np.arange(DRAWS + 1)
    assert p_value(even) == 1
    found = {"one": column, "other": even}
    assert all_uniform(found) == pytest.approx(min(1, 2 * p_value(column)))
    panels = picture({"hmc": found, "svi": {"one": column}}).get_axes()
    assert panels[0].get_title("left") == f"one\np = {p_value(column):.2g}"
    assert [len(panel.patches) > BINS for panel in panels] == [True, True, True, False]
    assert f"| HMC | one | {column.mean() / DRAWS:.3f} |" in markdown({"hmc": found})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hmc", "hmc_hidden", "svi"])
def test_ranks_are_uniform(name):
    found = ranks(CASES[name], SETS)
    assert all_uniform(found) > RIGHT, {quantity: p_value(column) for quantity, column in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hmc_wide", "svi_wide"])
def test_a_prior_a_fifth_too_wide_is_heard(name):
    found = ranks(CASES[name], SETS)
    assert all_uniform(found) < WRONG, {quantity: p_value(column) for quantity, column in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "sets"), [("svi_diagonal", SETS // 4), ("hmc_untaught", SETS)])
def test_a_guide_without_correlations_and_a_student_without_teachers_are_heard(name, sets):
    assert all_uniform(ranks(CASES[name], sets)) < WRONG
