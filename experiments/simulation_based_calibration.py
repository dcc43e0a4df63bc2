"""Do the engines draw from the posterior? Simulation-based calibration (Talts et al. 2018, arXiv 1804.06788).

    python -m experiments.simulation_based_calibration [--sets 160] [--quick]

    theta* ~ prior(theta)    y ~ p(y | theta*)    theta_1 .. theta_L ~ engine(. | y)
    rank = number of theta_l whose f(theta_l, y) lies below f(theta*, y),   uniform on 0..L if the engine is right

for every function f of weights and data. Teachers are no part of y: their factor belongs to the prior, which is

    prior(theta) ~ N(theta; 0, sigma^2 I) prod_i (sum_m w_m Dir(q_i(theta); 1 + s_m p_m(x_i)))^beta

and is drawn from exactly, by rejection: no Dirichlet is above its density at its mode p_m. It is written here in plain
formulas, so that the student's own code stands against them. Chains are thinned to one draw each, so that ranks are of
independent draws. One traced density serves all data sets.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn
from torch.distributions import Dirichlet

from mtbkd import registry
from mtbkd.density import Density
from mtbkd.inference import HMCConfig, SVIConfig
from mtbkd.inference.checkpoints import Checkpoints
from mtbkd.priors import DirichletMixture
from mtbkd.progress import Progress, TerminalProgress
from mtbkd.report.svg import INK, MUTED, SERIES, report_style
from mtbkd.students import NormalWeights, Student
from mtbkd.students.mlp import mlp
from mtbkd.teachers.bank import TeacherBank

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURE = Path(__file__).parents[1] / "docs" / "simulation_based_calibration.svg"

CLASSES, ROWS, LABELLED = 3, 12, 8
PRIOR_SCALE, STRENGTH, CONCENTRATION, SHARES = 1.0, 0.5, 3.0, (0.6, 0.4)

# Ranks run from 0 to DRAWS: 64 of them, four a bin.
DRAWS, BINS = 63, 16
# A case is right if chance alone gives ranks as uneven as its own with at least this probability, wrong if with less
# than the second: all quantities together.
RIGHT, WRONG = 0.01, 1e-4

HMC = HMCConfig(num_chains=DRAWS, warmup=40, draws=1, thin=8, warm_start=0, max_leapfrogs=64, dtype="float64")
SVI = SVIConfig(
    guide="full",
    steps=150,
    learning_rate=0.1,
    particles=16,
    batch_size=None,
    init_scale=0.3,
    warm_start=0,
    draws=DRAWS,
)
DIAGONAL = replace(SVI, guide="diagonal")


@dataclass(frozen=True)
class Case:
    """An engine and the student that it is told of.

    hidden: widths of the student's hidden layers; prior_scale, strength: what the engine is told, in units of the truth
    right: whether it should pass
    """

    title: str
    engine: Any
    right: bool
    hidden: tuple[int, ...] = ()
    prior_scale: float = 1.0
    strength: float = 1.0


CASES = {
    "hmc": Case("HMC", HMC, True),
    "hmc_hidden": Case("HMC, a hidden layer", HMC, True, hidden=(3,)),
    "svi": Case("SVI, full guide", SVI, True),
    "svi_diagonal": Case("SVI, diagonal guide", DIAGONAL, False),
    "hmc_wide": Case("HMC, prior 20 % too wide", HMC, False, prior_scale=1.2),
    "svi_wide": Case("SVI, prior 20 % too wide", SVI, False, prior_scale=1.2),
    "hmc_untaught": Case("HMC, teachers left out", HMC, False, strength=0.0),
}


# ---- what data are drawn from ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class World:
    """Twelve inputs `x [N, 2]`, a point teacher `[N, K]` and a Bayesian one `[S, N, K]`, two inputs held out."""

    x: Tensor
    point: Tensor
    drawn: Tensor
    held_out: Tensor


@cache
def world() -> World:
    """The same for all data sets; teachers that half agree, one linear, one noisy."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(ROWS, 2, generator=generator)
    one, other = torch.randn(2, 2, CLASSES, generator=generator)
    noise = 0.7 * torch.randn(20, ROWS, CLASSES, generator=generator)
    point = torch.softmax(x @ one, -1)
    return World(x, point, torch.softmax(x @ (one + 0.5 * other) + noise, -1), torch.eye(2))


def student_of(case: Case) -> Student:
    """The student as the case's engine is told of it."""
    here = world()
    bank = TeacherBank.from_probs({"point": here.point, "drawn": here.drawn}, inputs=here.x)
    prior = DirichletMixture(bank, torch.tensor(SHARES).expand(ROWS, -1), CONCENTRATION)
    weight_prior = NormalWeights(PRIOR_SCALE * case.prior_scale, "fixed")
    network = mlp(2, list(case.hidden), CLASSES, "tanh")
    return Student(network, prior, strength=STRENGTH * case.strength, weight_prior=weight_prior)


def network_of(case: Case) -> tuple[nn.Module, list[str]]:
    """The student's network and its parameters' names, in the order of the flat vector."""
    network = mlp(2, list(case.hidden), CLASSES, "tanh")
    return network, [name for name, _ in network.named_parameters()]


def log_probs(case: Case, theta: Tensor, x: Tensor) -> Tensor:
    """log q of weights `[S, D]` at inputs `[N, 2]`, `[S, N, K]`, by hand: the layers in turn."""
    z, rest = x.to(theta).expand(len(theta), -1, -1), theta
    widths = [2, *case.hidden, CLASSES]
    for i, (fan_in, width) in enumerate(pairwise(widths)):
        weight, bias, rest = rest.split([fan_in * width, width, rest.shape[1] - (fan_in + 1) * width], 1)
        z = z @ weight.view(-1, width, fan_in).mT + bias[:, None]
        z = torch.tanh(z) if i < len(widths) - 2 else z
    return torch.log_softmax(z, -1)


@cache
def teachers() -> list[tuple[float, Dirichlet, Tensor]]:
    """Each one's share, Dirichlets of all rows, and their modes `[N, K]`; the second's precision by moments."""
    here = world()
    point, drawn = here.point.double(), here.drawn.double()
    mean, variance = drawn.mean(0), drawn.var(0)
    precision = ((mean * (1 - mean)).sum(-1) / variance.sum(-1) - 1).clamp(0.5, 20.0)
    return [
        (SHARES[0], Dirichlet(1 + CONCENTRATION * point), point),
        (SHARES[1], Dirichlet(1 + precision[:, None] * mean), mean),
    ]


def teacher_factor(log_q: Tensor) -> Tensor:
    """Log of the teachers' factor, `[S, N, K]` -> `[S]`."""
    parts = [math.log(share) + law.log_prob(log_q.exp()) for share, law, _ in teachers()]
    return STRENGTH * torch.logsumexp(torch.stack(parts), 0).sum(-1)


def highest_factor() -> Tensor:
    """What `teacher_factor` never exceeds: every Dirichlet at its mode, in every row."""
    peaks = [math.log(share) + law.log_prob(mode) for share, law, mode in teachers()]
    return STRENGTH * torch.logsumexp(torch.stack(peaks), 0).sum()


def draw_weights(case: Case, number: int, generator: torch.Generator) -> Tensor:
    """Exact draws from the prior with its teachers, `[number, D]`, by rejection."""
    network, _ = network_of(case)
    dim = sum(p.numel() for p in network.parameters())
    kept: list[Tensor] = []
    while sum(map(len, kept)) < number:
        theta = PRIOR_SCALE * torch.randn(20_000, dim, generator=generator, dtype=torch.float64)
        accept = (teacher_factor(log_probs(case, theta, world().x)) - highest_factor()).exp()
        kept.append(theta[torch.rand(len(theta), generator=generator, dtype=torch.float64) < accept])
    return torch.cat(kept)[:number]


def draw_labels(case: Case, theta: Tensor, generator: torch.Generator) -> Tensor:
    """Labels of each weight vector, `[S, D]` -> `[S, N]`, the last rows unlabelled."""
    probs = log_probs(case, theta, world().x).exp()
    y = torch.multinomial(probs.flatten(0, 1), 1, generator=generator).view(len(theta), ROWS)
    y[:, LABELLED:] = -1
    return y


# ---- ranks -----------------------------------------------------------------------------------------------------


def quantities(case: Case, density: Density, theta: Tensor) -> dict[str, Tensor]:
    """What is ranked, each `[S]`: of a network with a hidden layer, whose weights can be permuted, functions alone.

    log density: the engine's own, of weights and labels (a function of the data too: Modrák et al. 2023).
    """
    probs = log_probs(case, theta.double(), world().held_out).exp()
    found = {
        "log density": density.log_prob(theta),
        "p(class 0) at input 1": probs[:, 0, 0],
        "p(class 1) at input 2": probs[:, 1, 1],
        "size of the weights": theta.square().sum(-1),
    }
    return found if case.hidden else found | {"first weight": theta[:, 0]}


def ranks(
    case: Case, num_sets: int, seed: int = 0, progress: Progress | None = None
) -> dict[str, np.ndarray]:
    """Ranks of the true weights' quantities among the engine's draws, by quantity `[num_sets]`, 0 to DRAWS."""
    generator = torch.Generator().manual_seed(seed)
    truths = draw_weights(case, num_sets, generator)
    labels = draw_labels(case, truths, generator)
    student, config = student_of(case), case.engine
    engine = registry.find("inference", config.name)
    dtype = getattr(torch, getattr(config, "dtype", "float32"))
    any_labels = torch.arange(ROWS) % CLASSES
    density = Density(student, student.rows((world().x, any_labels)), dtype=dtype)
    assert [site.name for site in density.sites] == network_of(case)[1]
    density = density.plan(config.num_chains, config.evaluations, compiled="never")
    found: dict[str, list[int]] = {}
    with (progress or Progress()).stage(case.title, num_sets) as advance:
        for truth, y in zip(truths, labels, strict=True):
            own = density.with_tensors((density.tensors[0], y, *density.tensors[2:]))
            draws = engine.sample(own, config, None, generator, Progress(), Checkpoints(generator)).theta
            theta = torch.cat([truth[None].to(dtype), draws.flatten(0, 1)])
            for name, values in quantities(case, own, theta).items():
                found.setdefault(name, []).append(int((values[1:] < values[0]).sum()))
            advance()
    return {name: np.array(column) for name, column in found.items()}


def counts(found: np.ndarray) -> np.ndarray:
    """Ranks `[num_sets]` in equal bins, `[BINS]`."""
    return np.bincount(found * BINS // (DRAWS + 1), minlength=BINS)


def p_value(found: np.ndarray) -> float:
    """Pearson's chi-square test that ranks `[num_sets]` are uniform."""
    return float(stats.chisquare(counts(found)).pvalue)


def all_uniform(found: Mapping[str, np.ndarray]) -> float:
    """The least p-value of all quantities, times their number (Bonferroni)."""
    return min(1.0, len(found) * min(p_value(column) for column in found.values()))


# ---- what is told ----------------------------------------------------------------------------------------------


def markdown(found: Mapping[str, Mapping[str, np.ndarray]]) -> str:
    """A row a case and quantity: mean rank and its standard deviation over those of uniform ranks, and p."""
    lines = ["| case | quantity | mean of rank / L | sd / uniform sd | p |", "|---|---|---|---|---|"]
    uniform = math.sqrt(((DRAWS + 1) ** 2 - 1) / 12)
    for name, columns in found.items():
        for quantity, column in columns.items():
            shape = f"{column.mean() / DRAWS:.3f} | {column.std() / uniform:.3f}"
            lines.append(f"| {CASES[name].title} | {quantity} | {shape} | {p_value(column):.2g} |")
        lines.append(f"| {CASES[name].title} | all together | | | {all_uniform(columns):.2g} |")
    return "\n".join(lines)


def picture(found: Mapping[str, Mapping[str, np.ndarray]]) -> "Figure":
    """Rank histograms, a row a case, a column a quantity, with the band that holds 99 % of uniform ranks' bins."""
    from matplotlib.figure import Figure

    columns = max(map(len, found.values()))
    with report_style():
        figure = Figure(
            figsize=(2.1 * columns, 0.5 + 1.35 * len(found)), layout="constrained", facecolor="white"
        )
        rows: Sequence[Sequence[Any]] = figure.subplots(len(found), columns, squeeze=False)
        for axes, (name, by_quantity) in zip(rows, found.items(), strict=True):
            case = CASES[name]
            for panel in axes[len(by_quantity) :]:
                panel.set_axis_off()
            for panel, (quantity, column) in zip(axes, by_quantity.items(), strict=False):
                low, middle, high = stats.binom.ppf([0.005, 0.5, 0.995], len(column), 1 / BINS)
                panel.axhspan(low, high, color=MUTED, alpha=0.18, linewidth=0)
                panel.axhline(middle, color=MUTED, linewidth=0.7)
                colour = SERIES[0] if case.right else SERIES[1]
                panel.bar(np.arange(BINS), counts(column), 0.92, color=colour, alpha=0.85)
                panel.set_title(f"{quantity}\np = {p_value(column):.2g}", fontsize=7.5)
                panel.set(xticks=[], yticks=[], ylim=(0, None))
                panel.grid(visible=False)
            axes[0].set_ylabel(case.title.replace(", ", ",\n"), color=INK, fontsize=7.5)
        figure.supxlabel(f"rank of the true value among {DRAWS} draws", color=MUTED, fontsize=9)
    return figure


def main() -> None:
    """Rank, test, and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", type=int, default=160, help="data sets a case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=PICTURE, help="the picture, as SVG")
    parser.add_argument("--quick", action="store_true", help="20 data sets: only to see that it works")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    shown = TerminalProgress()
    number = 20 if arguments.quick else arguments.sets
    found = {name: ranks(case, number, arguments.seed, shown) for name, case in CASES.items()}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with report_style():
        picture(found).savefig(arguments.out, metadata=dict.fromkeys(("Date", "Creator")))
    print(markdown(found))
    surprises = [
        case.title
        for name, case in CASES.items()
        if not (all_uniform(found[name]) > RIGHT if case.right else all_uniform(found[name]) < WRONG)
    ]
    print(f"\nnot as it should be: {', '.join(surprises) or 'none'}")


if __name__ == "__main__":
    main()
