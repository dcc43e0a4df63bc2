"""Has an optimised objective settled, and how near is what it fitted to the posterior?"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from mtbkd.draw_statistics import MIN_WEIGHTS, pareto_khat
from mtbkd.errors import InputError
from mtbkd.evaluation.diagnostics import (
    Diagnostics,
    Kind,
    Numbers,
    Verdict,
    finite_or_none,
    not_applicable,
)

LOSS_GOOD = 1e-3  # relative change that no one would see
LOSS_BAD = 1e-2
LOSS_NOISE = 3  # standard errors
KHAT_GOOD = 0.7  # Vehtari, Simpson, Gelman, Yao and Gabry 2024

POINT = (
    "A point estimate: there is no posterior to converge to, and no epistemic uncertainty; "
    "inference=svi or inference=hmc gives them."
)
MODES = (
    "{} modes, not draws of the posterior: there is nothing to mix, and their disagreement is no posterior "
    "uncertainty; inference=hmc gives one."
)
NORMAL = (
    "Draws of a normal at the MAP are independent, and nothing was fitted that could fail to converge; "
    "how near the normal is to the posterior is another question."
)
FALLING = (
    "The learning rate had fallen to 0 by then, which levels any trace: "
    "that twice inference.steps gives the same ELBO is the better sign."
)


@dataclass(frozen=True)
class Objective:
    """How a loss is spoken of: what it is called, and the words for its going down and up."""

    name: str
    down: str
    up: str


LOSS = Objective("loss", "still falling", "rising")
ELBO = Objective("ELBO", "still rising", "falling")  # a loss that goes down is an ELBO that goes up


def diagnose_loss(losses: ArrayLike, objective: Objective = LOSS) -> Diagnostics:
    """Convergence of an optimised objective: the last tenth of its trace against the tenth before.

    losses: `[T]` negative ELBO (or other loss) a step, in nats per datum
    raises: InputError for a trace that is empty or not one number a step
    """
    trace = np.asarray(losses, np.float64)
    if trace.ndim != 1 or len(trace) == 0:
        raise InputError(f"diagnostics: a loss trace has shape {list(trace.shape)}; give a loss a step, [T]")
    numbers: Numbers = {"steps": len(trace)}
    called = objective.name
    if not np.isfinite(trace).all():
        step = int(np.argmin(np.isfinite(trace)))
        words = f"The {called} is NaN or infinite at step {step}: reduce inference.learning_rate tenfold."
        return Diagnostics("not converged", [words], numbers)
    tenth = len(trace) // 10
    if tenth < 2:
        words = f"{len(trace)} steps are too few to judge: take at least 20, better thousands."
        return Diagnostics("doubtful", [words], numbers)
    before, after = trace[-2 * tenth : -tenth], trace[-tenth:]
    change = float(after.mean() - before.mean())
    noise = float(np.sqrt((before.var(ddof=1) + after.var(ddof=1)) / tenth))
    relative = abs(change) / max(abs(float(after.mean())), np.finfo(float).tiny)
    numbers |= {"loss": float(after.mean()), "loss_change": change}
    numbers |= {"loss_noise": noise, "loss_relative": relative}
    if abs(change) <= LOSS_NOISE * noise or relative <= LOSS_GOOD:
        words = (
            f"The {called} has settled: between the last two tenths of its {len(trace):,} steps it changed by "
            f"{relative:.2%}."
        )
        return Diagnostics("converged", [words], numbers)
    verdict: Verdict = "not converged" if relative > LOSS_BAD or change > 0 else "doubtful"
    moving, mend = (
        (objective.up, "reduce inference.learning_rate")
        if change > 0
        else (objective.down, "raise inference.steps")
    )
    words = f"The {called} is {moving} (by {relative:.1%} between the last two tenths of its steps): {mend}."
    return Diagnostics(verdict, [words], numbers)


def diagnose_point(losses: ArrayLike | None, members: int = 1) -> Diagnostics:
    """MAP, or an ensemble of them: not applicable, unless the optimisation has not settled, which is told first.

    losses: `[T]` a step, in nats per datum; None: not recorded
    """
    reason = POINT if members == 1 else MODES.format(members)
    kind: Kind = "point" if members == 1 else "ensemble"
    if losses is None:
        return not_applicable(reason, kind)
    found = diagnose_loss(losses)
    if found.verdict == "converged":
        return Diagnostics("not applicable", [reason, *found.words], found.numbers, kind)
    return replace(found, words=[*found.words, reason], kind=kind)


def diagnose_variational(
    elbo: ArrayLike,
    log_weights: ArrayLike | None = None,
    *,
    rate_fell: bool = False,
    reached_plateau: bool = True,
    richer: str | None = None,
) -> Diagnostics:
    """Convergence of a guide's ELBO, and Pareto k-hat: reported, never a failure by itself, as at thousands of weights
    it is above .7 for approximations that predict as well as the exact posterior.

    elbo: `[T]` a step, in nats per datum; log_weights: `[C, S]` log p - log q of the guide's draws, None: not known
    rate_fell: whether the learning rate was lowered to 0 whatever the ELBO did
    reached_plateau: False where a run that was to end at a plateau ran out of steps before
    richer: the setting of a guide that comes nearer, None: there is none
    """
    found = diagnose_loss(-np.asarray(elbo, np.float64), ELBO)
    words, verdict = list(found.words), found.verdict
    if not reached_plateau:
        words.insert(0, "The ELBO's plateau was not reached within inference.steps: raise them.")
        verdict = "doubtful" if verdict == "converged" else verdict
    elif rate_fell and verdict == "converged":
        words.append(FALLING)
    numbers, about_weights, finite = _of_weights(log_weights, richer)
    if not finite:
        verdict = "not converged"
    words = words + about_weights if finite else about_weights + words
    return Diagnostics(verdict, words, found.numbers | numbers, "variational")


def diagnose_laplace(
    log_weights: ArrayLike | None, *, linearised: bool = False, richer: str | None = None
) -> Diagnostics:
    """A normal at the MAP: nothing converges; Pareto k-hat says how near it is to the posterior.

    log_weights: `[C, S]` log p - log q of its draws, a normal a chain; None: not known
    linearised: whether predictions are of the network linearised at the MAP, of which k-hat says nothing
    richer: the setting of a normal that comes nearer, None: there is none
    """
    numbers, about_weights, finite = _of_weights(log_weights, richer)
    if not finite:
        return Diagnostics("not converged", about_weights, numbers, "laplace")
    words = [NORMAL, *about_weights]
    if linearised and about_weights:
        words.append(
            "It is k-hat of the network itself: predictions are of the network linearised at the MAP."
        )
    return Diagnostics("not applicable", words, numbers, "laplace")


def khat_good(draws: int) -> float:
    """Pareto k-hat up to which importance weights of so many draws can be relied on (Vehtari et al. 2024)."""
    return min(1 - 1 / np.log10(draws), KHAT_GOOD)


def _of_weights(log_weights: ArrayLike | None, richer: str | None) -> tuple[Numbers, list[str], bool]:
    """k-hat of the worst chain, what it means, and whether all weights are finite."""
    if log_weights is None:
        return {}, [], True
    weights = np.asarray(log_weights, np.float64)
    count = weights.shape[1]
    if (broken := int((~np.isfinite(weights)).sum())) > 0:
        words = f"{broken} of {weights.size} draws have a density that is NaN or infinite: "
        return {"khat": None}, [words + "reduce inference.learning_rate, or scale the inputs."], False
    if count < MIN_WEIGHTS:
        return {"khat": None}, [], True
    khat = max(pareto_khat(chain) for chain in weights)
    return finite_or_none({"khat": khat}), [_khat_words(khat, count, richer)], True


def _khat_words(khat: float, draws: int, richer: str | None) -> str:
    good = khat_good(draws)
    told = f"Pareto k-hat is {khat:.2f}" if np.isfinite(khat) else "Pareto k-hat has no bound"
    if khat <= good:
        return (
            f"{told} (good: {good:.2f} or less): the draws are near enough for weights to correct the rest."
        )
    return (
        f"{told} (good: {good:.2f} or less): importance weights cannot correct this approximation. "
        "With hundreds of weights deviations a few percent too small are enough for that, so it does not condemn the "
        "predictions: compare them with those of inference=hmc"
        + (f"; {richer} comes nearer." if richer else ".")
    )
