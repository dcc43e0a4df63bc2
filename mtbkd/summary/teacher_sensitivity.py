"""Which teacher the student's answer hangs on, told by reweighting its draws: numbers, and their table."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mtbkd.draw_statistics import MIN_WEIGHTS
from mtbkd.evaluation import sensitivity as evaluation
from mtbkd.evaluation.sensitivity import beyond_chance, mean_of_known
from mtbkd.posterior import Posterior
from mtbkd.priors.prior import TeacherPrior
from mtbkd.problem import Problem
from mtbkd.report.content import FoundTable
from mtbkd.summary.diagnosis import kind_of

# The pool is predicted once by each draw: as many draws as cost no more than this, between the two bounds.
PREDICTIONS = 4_000_000
FEWEST, MOST = 100, 400

MOST_ROWS = 8192  # of the pool that influences are taken of, evenly spread
ROWS = 2048  # of them at a time, and fewer where they would take more than so many elements
ELEMENTS = 20_000_000

HEAVY_TAIL = 0.7  # k-hat above which an average over draws is one over few of them


def teacher_sensitivity(problem: Problem, student: Posterior, x: Tensor) -> dict[str, Any] | None:
    """How the probability of the most probable class at held-out inputs `x` changes with each teacher's precision.

    None where there are no draws to reweight: for points and ensembles of them, for fewer than `MIN_WEIGHTS` draws,
    and where the teachers have strength 0. approximate: the draws are not of the posterior itself but near it (SVI,
    Laplace, stochastic gradients), and so is what they say of it.
    """
    kind = kind_of(student)
    most = max(FEWEST, min(MOST, PREDICTIONS // min(MOST_ROWS, len(problem.data.pool))))
    thinned = student.thin(most)
    count = thinned.num_chains * thinned.num_draws
    if kind in ("point", "ensemble") or count < MIN_WEIGHTS or problem.strength == 0:
        return None
    # Of draws of p^(1/T) a teacher's part of the log density counts 1 / T times.
    strength = problem.strength / student.posterior_temperature
    influence = strength * influence_of(problem.prior, thinned, problem.data.pool.x)
    said = thinned.predict(x)
    top = said.by_chain[:, :, torch.arange(len(said)), said.labels]
    found = evaluation.sensitivity(influence.numpy(), top.numpy())
    psens = [mean_of_known(one) for one in found.psens]
    teachers = {
        name: {
            "psens": psens[j],
            "psens_by_chance": float(found.by_chance[j]),
            "psens_beyond_chance": beyond_chance(psens[j], float(found.by_chance[j])),
            "change_per_percent": 0.01 * float(found.mean_change[j]),
            "change_error": 0.01 * float(found.mean_change_error[j]),
            "khat": float(found.khat[j]),
        }
        for j, name in enumerate(problem.prior.names)
    }
    return {"draws": count, "inputs": len(said), "approximate": kind != "exact", "teachers": teachers}


def influence_of(prior: TeacherPrior, posterior: Posterior, x: Tensor) -> Tensor:
    """`TeacherPrior.influence` of each draw, summed over the pool's rows `x`, `[C, S, M]` float64; of a large pool from
    evenly spread rows, their sum scaled."""
    used = min(len(x), MOST_ROWS)
    count = posterior.num_chains * posterior.num_draws
    total = torch.zeros(count, len(prior.names), dtype=torch.float64)
    size = max(1, min(ROWS, ELEMENTS // (count * prior.num_classes * len(prior.names))))
    for rows in (torch.arange(used) * len(x) // used).split(size):
        total += prior.influence(what_the_prior_speaks_of(prior, posterior, x[rows]), rows).double().sum(1)
    return len(x) / used * total.unflatten(0, (posterior.num_chains, -1))


def what_the_prior_speaks_of(prior: TeacherPrior, posterior: Posterior, x: Tensor) -> Tensor:
    """Each draw's logits up to a constant a row, or what the layer that the prior names gives, `[S, n, ...]`."""
    if prior.layer is None:
        return posterior.predict(x).probs.float().clamp(min=torch.finfo(torch.float32).tiny).log()
    assert posterior.skeleton is not None
    skeleton, layer = posterior.skeleton, prior.layer
    held = posterior.of_network(posterior.held)
    draws = {name: v.flatten(0, 1) for name, v in posterior.of_network(posterior.values).items()}
    inputs = x.to(next(iter(draws.values())).dtype)
    with torch.no_grad():
        said = [
            skeleton.with_layers(held | {name: v[s] for name, v in draws.items()}, inputs, [layer])[1][layer]
            for s in range(posterior.num_chains * posterior.num_draws)
        ]
    return torch.stack(said).float()


def sensitivity_table(found: Mapping[str, Any] | None) -> FoundTable | None:
    """A row a teacher, the one that the answer hangs on most first."""
    if found is None:
        return None
    ordered = sorted(found["teachers"].items(), key=lambda item: -(item[1]["psens_beyond_chance"] or 0.0))
    rows = tuple(
        (
            name,
            shown(said["psens"], ".2f"),
            shown(said["psens_by_chance"], ".2f"),
            shown(said["psens_beyond_chance"], ".2f"),
            f"{shown(said['change_per_percent'], '+.5f')} ± {shown(said['change_error'], '.5f')}",
        )
        for name, said in ordered
    )
    return FoundTable(
        "Which teacher the answer hangs on",
        words(found),
        ("Teacher", "Sensitivity", "By chance", "Beyond chance", "For 1% more"),
        rows,
    )


def words(found: Mapping[str, Any]) -> str:
    """How to read the table."""
    said = [
        "How fast the student's probability of its most probable class changes as one teacher's precision is raised: "
        f"power-scaling sensitivity, the mean over {found['inputs']} held-out inputs. {found['draws']} draws give some "
        "of it by chance; what is beyond that is the teacher's, and above 0.05 it counts. The last column is what 1% "
        "more precision of the teacher adds to that probability on average, and its Monte Carlo error. Larger "
        "changes need a new fit."
    ]
    if found["approximate"]:
        said.append("The draws are of an approximation to the posterior, and so is this.")
    heavy = [
        name for name, one in found["teachers"].items() if one["khat"] is None or one["khat"] > HEAVY_TAIL
    ]
    if heavy:
        said.append(f"Of {', '.join(heavy)} few draws tell most (k-hat above 0.7): take it as rough.")
    return " ".join(said)


def shown(value: float | None, form: str) -> str:
    """A number, or that there is none."""
    return "unknown" if value is None else format(value, form)
