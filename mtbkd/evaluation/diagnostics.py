"""Can the draws be believed? Convergence in numbers and in words.

Weights of a network are not identifiable (permutations, signs), so chains are compared by what is: the log
density and the predictive probabilities at held-out inputs.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from mtbkd.errors import InputError
from mtbkd.inference_data import MIN_DRAWS, ess, rhat

Verdict = Literal["converged", "doubtful", "not converged", "not applicable"]

RHAT_GOOD = 1.01  # of one quantity: Vehtari et al. 2021
RHAT_GOOD_WORST = 1.05  # of the worst of many, which chance alone lifts above 1.01 in short runs
RHAT_BAD = 1.1  # Izmailov et al. 2021 call a prediction mixed below it
SHARE_BAD = 0.1  # of held-out probabilities above RHAT_BAD
ESS_GOOD = 400  # below it R-hat itself is unreliable: Vehtari et al. 2021
DIVERGENT_BAD = 0.1  # share of draws
LOSS_GOOD = 1e-3  # relative change that no one would see
LOSS_BAD = 1e-2
LOSS_NOISE = 3  # standard errors
KHAT_GOOD = 0.7  # Vehtari, Simpson, Gelman, Yao and Gabry 2024


@dataclass(frozen=True)
class Diagnostics:
    """Whether inference converged.

    verdict: converged, doubtful, not converged, or not applicable (a point estimate)
    words: one sentence a finding: what, why, what to do
    numbers: by name, None where undefined
    """

    verdict: Verdict
    words: list[str]
    numbers: dict[str, float | int | None] = field(default_factory=dict)


def not_applicable(reason: str) -> Diagnostics:
    """Diagnostics of something that has no chains and no trace."""
    return Diagnostics("not applicable", [reason])


def diagnose_chains(
    log_density: ArrayLike,
    probs: ArrayLike,
    divergences: int | None = None,
    acceptance: float | None = None,
) -> Diagnostics:
    """Convergence of Markov chains in function space.

    log_density: `[C, S]`; probs: `[C, S, Q]`, predictive probabilities at held-out inputs, any Q >= 1 of them
    divergences: number of divergent draws; acceptance: mean acceptance rate (where the engine has them)
    raises: InputError for shapes that do not fit
    """
    energy, p = np.asarray(log_density, np.float64), np.asarray(probs, np.float64)
    if energy.ndim != 2 or p.ndim != 3 or p.shape[:2] != energy.shape or p.shape[2] == 0:
        raise InputError(
            f"diagnostics: log density {list(energy.shape)} and probabilities {list(p.shape)} do not fit; "
            "give [C, S] and [C, S, Q] with Q >= 1"
        )
    if energy.shape[1] < MIN_DRAWS:
        words = f"{energy.shape[1]} draws a chain are too few to judge: take {MIN_DRAWS} or more, better 200."
        return Diagnostics("doubtful", [words], _sizes(energy))
    if not (np.isfinite(energy).all() and np.isfinite(p).all()):
        words = "Draws hold NaN or infinite values, where the density cannot be computed: use smaller steps."
        return Diagnostics("not converged", [words], _sizes(energy))
    numbers = _chain_numbers(energy, p) | {"divergences": divergences, "acceptance": acceptance}
    if np.ptp(energy) == 0:
        words = "The log density never changed, the chains did not move: use smaller steps."
        return Diagnostics("not converged", [words], numbers)
    failures, doubts = _chain_findings(numbers)
    if failures or doubts:
        return Diagnostics("not converged" if failures else "doubtful", failures + doubts, numbers)
    praise = (
        f"The {energy.shape[0]} chains agree: R-hat {numbers['rhat_log_density']:.3f} of the log density, "
        f"at most {numbers['rhat_probs_max']:.3f} of the held-out probabilities; "
        f"at least {numbers['ess_min']:.0f} effective draws of each."
    )
    return Diagnostics("converged", [praise], numbers)


def diagnose_loss(losses: ArrayLike, khat: float | None = None) -> Diagnostics:
    """Convergence of an optimised objective: the last tenth of its trace against the tenth before.

    losses: `[T]` negative ELBO (or other loss) a step, in nats per datum
    khat: Pareto k-hat of the approximation's importance weights; reported, never a failure by itself: at
        thousands of weights it is above .7 for approximations that predict as well as the exact posterior
    raises: InputError for a trace that is empty or not one number a step
    """
    trace = np.asarray(losses, np.float64)
    if trace.ndim != 1 or len(trace) == 0:
        raise InputError(f"diagnostics: a loss trace has shape {list(trace.shape)}; give a loss a step, [T]")
    numbers: dict[str, float | int | None] = {"steps": len(trace), "khat": khat}
    about_khat = _khat_words(khat)
    if not np.isfinite(trace).all():
        step = int(np.argmin(np.isfinite(trace)))
        words = f"The loss is NaN or infinite at step {step}: reduce the step size tenfold."
        return Diagnostics("not converged", [words], numbers)
    tenth = len(trace) // 10
    if tenth < 2:
        words = f"{len(trace)} steps are too few to judge: take at least 20, better thousands."
        return Diagnostics("doubtful", [words, *about_khat], numbers)
    before, after = trace[-2 * tenth : -tenth], trace[-tenth:]
    change = float(after.mean() - before.mean())
    noise = float(np.sqrt((before.var(ddof=1) + after.var(ddof=1)) / tenth))
    relative = abs(change) / max(abs(float(after.mean())), np.finfo(float).tiny)
    numbers |= {"loss": float(after.mean()), "loss_change": change}
    numbers |= {"loss_noise": noise, "loss_relative": relative}
    if abs(change) <= LOSS_NOISE * noise or relative <= LOSS_GOOD:
        words = (
            f"The loss has settled: between the last two tenths of its steps it changed by {relative:.2%}."
        )
        return Diagnostics("converged", [words, *about_khat], numbers)
    verdict: Verdict = "not converged" if relative > LOSS_BAD or change > 0 else "doubtful"
    moving, mend = ("rising", "reduce the step size") if change > 0 else ("still falling", "take more steps")
    words = f"The loss is {moving} (by {relative:.1%} between the last two tenths of its steps): {mend}."
    return Diagnostics(verdict, [words, *about_khat], numbers)


def _sizes(energy: np.ndarray) -> dict[str, float | int | None]:
    return {"num_chains": energy.shape[0], "num_draws": energy.shape[1]}


def _chain_numbers(energy: np.ndarray, p: np.ndarray) -> dict[str, float | int | None]:
    r, bulk, tail = rhat(p), ess(p), ess(p, "tail")
    defined = np.isfinite(r)
    every_ess = np.concatenate([[ess(energy)], [ess(energy, "tail")], bulk, tail])
    found = {
        "rhat_log_density": float(rhat(energy)),
        "rhat_probs_median": float(np.median(r[defined])) if defined.any() else np.nan,
        "rhat_probs_max": float(r[defined].max()) if defined.any() else np.nan,
        "rhat_probs_share_bad": float((r[defined] > RHAT_BAD).mean()) if defined.any() else np.nan,
        "ess_log_density": float(every_ess[0]),
        "ess_tail_log_density": float(every_ess[1]),
        "ess_probs_median": float(np.nanmedian(bulk)) if np.isfinite(bulk).any() else np.nan,
        "ess_min": float(np.nanmin(every_ess)) if np.isfinite(every_ess).any() else np.nan,
    }
    defined_or_none = {name: None if np.isnan(value) else value for name, value in found.items()}
    return _sizes(energy) | defined_or_none | {"constant_probs": int((np.ptp(p, axis=(0, 1)) == 0).sum())}


def _chain_findings(n: dict[str, float | int | None]) -> tuple[list[str], list[str]]:
    failures: list[str] = []
    doubts: list[str] = []
    more = "double inference.warmup and inference.draws, or start the chains nearer the mode"
    energy, worst, share = n["rhat_log_density"], n["rhat_probs_max"], n["rhat_probs_share_bad"]
    if n["num_chains"] == 1:
        doubts.append("One chain cannot show that there is another mode: run at least four.")
    elif worst is None or share is None:
        doubts.append("No held-out probability varies: the predictions are too certain to be compared.")
    elif share > SHARE_BAD:
        failures.append(
            f"{share:.0%} of the held-out probabilities have R-hat above {RHAT_BAD} (worst {worst:.2f}): "
            f"chains predict differently, as if in separate modes; {more}."
        )
    elif worst > RHAT_GOOD_WORST:
        doubts.append(
            f"R-hat of the worst held-out probability is {worst:.2f} (good: {RHAT_GOOD_WORST}): "
            f"the chains agree on most predictions, not on all; {more}."
        )
    if energy is not None and energy > RHAT_GOOD:
        finding = (
            f"R-hat of the log density is {energy:.2f} (good: {RHAT_GOOD}): the chains disagree; {more}."
        )
        (failures if energy > RHAT_BAD else doubts).append(finding)
    if n["ess_min"] is not None and n["ess_min"] < ESS_GOOD:
        doubts.append(
            f"Only {n['ess_min']:.0f} effective draws of the slowest quantity (good: {ESS_GOOD}): "
            "its mean and R-hat are uncertain; take more draws."
        )
    draws = (n["num_chains"] or 0) * (n["num_draws"] or 0)
    if n["divergences"]:
        finding = (
            f"{n['divergences']} of {draws} draws diverged: the step is too large somewhere; "
            "raise the target acceptance rate."
        )
        (failures if n["divergences"] > DIVERGENT_BAD * draws else doubts).append(finding)
    return failures, doubts


def _khat_words(khat: float | None) -> list[str]:
    if khat is None or khat <= KHAT_GOOD:
        return []
    return [
        f"Pareto k-hat is {khat:.2f}: importance weights cannot correct this approximation. "
        "With thousands of weights that is usual and does not condemn its predictions: "
        "compare them with those of inference=hmc."
    ]
