"""Do Markov chains agree, and have they enough draws? In function space, in numbers and in words."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from mtbkd.draw_statistics import MIN_DRAWS, ess, rhat
from mtbkd.errors import InputError
from mtbkd.evaluation.diagnostics import Diagnostics, finite_or_none
from mtbkd.evaluation.energy import bfmi
from mtbkd.evaluation.nested_rhat import nested_rhat

Found = tuple[Literal["failure", "doubt"], str]
Raw = dict[str, float | int]

RHAT_GOOD = 1.01  # of one quantity: Vehtari et al. 2021
RHAT_GOOD_WORST = 1.05  # of the worst of many, which chance alone lifts above 1.01 in short runs
RHAT_BAD = 1.1  # Izmailov et al. 2021 call a prediction mixed below it
SHARE_BAD = 0.1  # of held-out probabilities above RHAT_BAD
ESS_GOOD = 400  # below it R-hat itself is unreliable: Vehtari et al. 2021
SHORT = 100  # draws a chain below which R-hat takes shortness for disagreement: it asks for 50 effective ones a half
DIVERGENT_BAD = 0.1  # share of draws
BFMI_GOOD = 0.3  # ArviZ's and Stan's advice
HEAT_GOOD = 1.1  # temperature of stochastic-gradient draws over the one asked for: 5 % more spread
HEAT_BAD = 1.5
HEAT_LOW = 0.7

BIAS = (
    "R-hat compares chains with each other: the bias that finite steps and mini-batches give to all of them it cannot "
    "see. Once chains agree, the predictions should stay with half of inference.step_size, and with inference=hmc."
)
ONE_START = (
    "All chains start at one point, so that their agreement says less: none may have found a mode that is far from "
    "it. Runs of other seeds start elsewhere: compare their predictions."
)


def diagnose_chains(
    log_density: ArrayLike,
    probs: ArrayLike,
    divergences: int | None = None,
    acceptance: float | None = None,
    *,
    energy: ArrayLike | None = None,
    superchains: int | None = None,
) -> Diagnostics:
    """Convergence of the chains of an exact sampler.

    log_density: `[C, S]`; probs: `[C, S, Q]`, predictive probabilities at held-out inputs, any Q >= 1 of them
    divergences: number of divergent draws; acceptance: mean acceptance rate (where the engine has them)
    energy: `[C, S]` of successive iterations, in nats; None where draws were thinned
    superchains: distinct starts, each of as many successive chains; None: each chain has its own. Chains shorter than
        `SHORT` are judged by nested R-hat where several share a start
    raises: InputError for shapes that do not fit
    """
    sampler: Raw = {}
    if divergences is not None:
        sampler["divergences"] = divergences
    if acceptance is not None:
        sampler["acceptance"] = acceptance
    if energy is not None:
        by_chain = bfmi(energy)
        sampler["bfmi_min"] = float(np.min(by_chain, where=~np.isnan(by_chain), initial=np.inf))
        sampler["chains_of_low_bfmi"] = int((by_chain < BFMI_GOOD).sum())
    longer = "double inference.warmup and inference.draws, or start the chains nearer the mode"
    return replace(_diagnose(log_density, probs, superchains, sampler, longer), kind="exact")


def diagnose_stochastic_gradient(
    log_density: ArrayLike,
    probs: ArrayLike,
    *,
    heat: float | None = None,
    superchains: int | None = None,
) -> Diagnostics:
    """Convergence of chains that no acceptance test corrects: to what their step leaves them, not to the posterior.

    heat: temperature that the draws have, -E[(theta - mean)' grad log p] / D, over the one they were to have: above 1
        by the steps' and mini-batches' bias, which R-hat does not see; None: not known
    Other arguments as of `diagnose_chains`, as is what it raises.
    """
    sampler: Raw = {} if heat is None else {"temperature_ratio": heat}
    longer = "double inference.warmup and inference.thin (steps a draw)"
    found = _diagnose(log_density, probs, superchains, sampler, longer)
    return replace(found, words=[*found.words, BIAS], kind="stochastic gradient")


def _diagnose(
    log_density: ArrayLike, probs: ArrayLike, superchains: int | None, sampler: Raw, longer: str
) -> Diagnostics:
    x, p = _checked(log_density, probs)
    c, s = x.shape
    starts = c if superchains is None else superchains
    nested = 1 < starts < c and s < SHORT
    numbers: Raw = {"num_chains": c, "num_draws": s, "superchains": starts}
    if s < MIN_DRAWS and not nested:
        words = f"{s} draws a chain are too few to judge: take {MIN_DRAWS} or more, better 200."
        return Diagnostics("doubtful", [words], finite_or_none(numbers))
    if not (np.isfinite(x).all() and np.isfinite(p).all()):
        words = "Draws hold NaN or infinite values, where the density cannot be computed: use smaller steps."
        return Diagnostics("not converged", [words], finite_or_none(numbers))
    numbers |= _mixing(x, p) | sampler
    if 1 < starts < c:
        of_probs = nested_rhat(p, starts)
        numbers |= _rhats("nested_rhat", float(nested_rhat(x, starts)), of_probs)
    findings = [*_still(x), *_chain_findings(numbers, "nested_rhat" if nested else "rhat", longer)]
    findings += _sampler_findings(numbers)
    failures = [words for weight, words in findings if weight == "failure"]
    doubts = [words for weight, words in findings if weight == "doubt"]
    praise = [] if failures or doubts else [_praise(numbers, "nested_rhat" if nested else "rhat")]
    notes = [ONE_START] if starts == 1 < c else []
    return Diagnostics(
        "not converged" if failures else "doubtful" if doubts else "converged",
        failures + doubts + praise + notes,
        finite_or_none(numbers),
    )


def _checked(log_density: ArrayLike, probs: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    x, p = np.asarray(log_density, np.float64), np.asarray(probs, np.float64)
    if x.ndim != 2 or p.ndim != 3 or p.shape[:2] != x.shape or p.shape[2] == 0:
        raise InputError(
            f"diagnostics: log density {list(x.shape)} and probabilities {list(p.shape)} do not fit; "
            "give [C, S] and [C, S, Q] with Q >= 1"
        )
    return x, p


def _mixing(x: np.ndarray, p: np.ndarray) -> Raw:
    bulk, tail = ess(p), ess(p, "tail")
    every_ess = np.concatenate([[ess(x)], [ess(x, "tail")], bulk, tail])
    return _rhats("rhat", float(rhat(x)), rhat(p)) | {
        "ess_log_density": float(every_ess[0]),
        "ess_tail_log_density": float(every_ess[1]),
        "ess_probs_median": _over_defined(np.median, bulk),
        "ess_tail_probs_median": _over_defined(np.median, tail),
        "ess_min": _over_defined(np.min, every_ess),
        "constant_probs": int((np.ptp(p, axis=(0, 1)) == 0).sum()),
    }


def _rhats(name: str, of_log_density: float, of_probs: np.ndarray) -> Raw:
    return {
        f"{name}_log_density": of_log_density,
        f"{name}_probs_median": _over_defined(np.median, of_probs),
        f"{name}_probs_max": _over_defined(np.max, of_probs),
        f"{name}_probs_share_bad": _over_defined(lambda r: np.mean(r > RHAT_BAD), of_probs),
    }


def _over_defined(summary: Callable[[np.ndarray], Any], values: np.ndarray) -> float:
    defined = values[~np.isnan(values)]
    return float(summary(defined)) if len(defined) else np.nan


def _still(x: np.ndarray) -> Iterator[Found]:
    stuck = [str(chain) for chain in range(len(x)) if x.shape[1] > 1 and np.ptp(x[chain]) == 0]
    if len(stuck) == len(x):
        yield "failure", "The log density never changed, the chains did not move: use smaller steps."
    elif stuck:
        which = f"Chain {stuck[0]}" if len(stuck) == 1 else f"Chains {', '.join(stuck)}"
        yield (
            "failure",
            f"{which} of {len(x)} (from 0) did not move: use smaller steps, or start elsewhere.",
        )


def _chain_findings(n: Mapping[str, float | int], rhat: str, longer: str) -> Iterator[Found]:
    called = "Nested R-hat" if rhat == "nested_rhat" else "R-hat"
    log_density, worst = n[f"{rhat}_log_density"], n[f"{rhat}_probs_max"]
    share = n[f"{rhat}_probs_share_bad"]
    if n["num_chains"] == 1:
        yield "doubt", "One chain cannot show that there is another mode: run at least four."
    elif np.isnan(worst):
        yield "doubt", "No held-out probability varies: the predictions are too certain to be compared."
    elif share > SHARE_BAD:
        yield (
            "failure",
            f"{share:.0%} of the held-out probabilities have {called} above {RHAT_BAD} (worst {worst:.2f}): "
            f"chains predict differently, as if in separate modes; {longer}.",
        )
    elif worst > RHAT_GOOD_WORST:
        yield (
            "doubt",
            f"{called} of the worst held-out probability is {worst:.3f} (good: {RHAT_GOOD_WORST}): "
            f"the chains agree on most predictions, not on all; {longer}.",
        )
    if log_density > RHAT_GOOD:
        yield (
            "failure" if log_density > RHAT_BAD else "doubt",
            f"{called} of the log density is {log_density:.3f} (good: {RHAT_GOOD}): the chains disagree; {longer}.",
        )
    if n["ess_min"] < ESS_GOOD:
        yield (
            "doubt",
            f"Only {n['ess_min']:.0f} effective draws of the slowest quantity (good: {ESS_GOOD}): "
            "its mean and R-hat are uncertain; take more draws.",
        )


def _sampler_findings(n: Mapping[str, float | int]) -> Iterator[Found]:
    draws, diverged = n["num_chains"] * n["num_draws"], n.get("divergences", 0)
    if diverged:
        yield (
            "failure" if diverged > DIVERGENT_BAD * draws else "doubt",
            f"{diverged} of {draws} draws diverged: the step is too large somewhere; "
            "raise the target acceptance rate (inference.accept).",
        )
    if n.get("chains_of_low_bfmi"):
        yield (
            "doubt",
            f"E-BFMI is {n['bfmi_min']:.2f} (good: {BFMI_GOOD} or more; lower in {n['chains_of_low_bfmi']} of "
            f"{n['num_chains']} chains): low and high energies are exchanged too slowly for the tails to be visited; "
            "double inference.warmup and inference.draws, or write the model's scales non-centred.",
        )
    yield from _heat_findings(n.get("temperature_ratio", 1.0))


def _heat_findings(heat: float) -> Iterator[Found]:
    if heat > HEAT_GOOD:
        yield (
            "failure" if heat > HEAT_BAD else "doubt",
            f"The draws are {heat:.2f} times as hot as they were to be (good: {HEAT_GOOD} or less): steps are too long "
            "or batches too small, which makes the posterior too wide; halve inference.step_size or raise "
            "inference.batch_size.",
        )
    elif heat < HEAT_LOW:
        yield (
            "doubt",
            f"The draws have only {heat:.2f} of the temperature they were to have: chains have not spread yet; "
            "double inference.warmup and inference.thin (steps a draw).",
        )


def _praise(n: Mapping[str, float | int], rhat: str) -> str:
    called = "nested R-hat" if rhat == "nested_rhat" else "R-hat"
    effective = "" if np.isnan(n["ess_min"]) else f"; at least {n['ess_min']:.0f} effective draws of each"
    return (
        f"The {n['num_chains']} chains agree: {called} {n[f'{rhat}_log_density']:.3f} of the log density, "
        f"at most {n[f'{rhat}_probs_max']:.3f} of the held-out probabilities{effective}."
    )
