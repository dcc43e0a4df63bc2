"""What there is before any student: data, what the teachers say of each split, and the prior that they make.

`prepare` finds every mistake that can be found without training; `ask` may train teachers, and takes long.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mtbkd import registry
from mtbkd.augmentation import augment
from mtbkd.configuration import RunConfig
from mtbkd.data.distillation import DistillationData
from mtbkd.data.npz import existing
from mtbkd.errors import InputError, nearest
from mtbkd.features.transfer import FeatureTransfer
from mtbkd.fitting import pick_device
from mtbkd.inference.engine import gives_points
from mtbkd.layer_outputs import layer_paths
from mtbkd.posterior import Posterior
from mtbkd.posterior_file import DRAWS
from mtbkd.priors.prior import TeacherPrior
from mtbkd.progress import Progress
from mtbkd.rules import HeldOut, Offer, StudentFunction, asks_held_out, check_held_out
from mtbkd.students.as_function import as_function
from mtbkd.students.posterior_prior import PosteriorWeights
from mtbkd.students.skeleton import check_output
from mtbkd.students.student import Student, check_width
from mtbkd.students.weight_prior import NormalWeights, WeightPrior
from mtbkd.teachers import BankCache, Teacher, TeacherBank, ask_all, build_teachers
from mtbkd.teachers.features import ask_features, check_askable
from mtbkd.teachers.fingerprint import file_hash, fingerprint, parts_of, table_part
from mtbkd.teachers.rows_seen import warn_of_rows_seen
from mtbkd.teachers.selection import Selection, needs_labels, select_teachers
from mtbkd.temperature import temper, temperatures
from mtbkd.weighting import Weights, weigh
from mtbkd.weighting.suspects import warn_of_suspects

log = logging.getLogger("mtbkd")


@dataclass(frozen=True)
class Ingredients:
    """Data and teachers that fit together with the configured student; nothing is trained.

    weight_prior: folders of the posteriors that the student's weight prior is made of
    """

    data: DistillationData
    teachers: tuple[Teacher, ...]
    cache: BankCache
    weight_prior: tuple[str, ...] = ()

    @property
    def identity(self) -> dict[str, str]:
        """Hashes of what a run is made from, by what it is: a run goes on only from the same."""
        data = self.data
        splits = {
            f"data, {name}": fingerprint(
                x=rows.hash, y=rows.y, ids=rows.ids, **parts_of(rows.views), **table_part(rows.table)
            )
            for name, rows in data.splits.items()
        }
        earlier = {
            f"weight prior '{path}'": file_hash(Path(path).expanduser() / DRAWS) for path in self.weight_prior
        }
        return splits | {f"teacher '{one.name}'": one.fingerprint for one in self.teachers} | earlier


@dataclass(frozen=True)
class Problem:
    """All that a student is fitted to and judged by.

    banks: by split, of the splits that every teacher covers; missing: why the others have none
    selection: how the teachers were chosen, None where all are heard; those dropped are in no bank
    strength: beta, the power on the teacher factor
    temperatures: what each teacher's logits were divided by, one number or `[N]` of the pool's rows
    """

    data: DistillationData
    banks: dict[str, TeacherBank]
    missing: dict[str, str]
    weights: Weights
    prior: TeacherPrior
    hints: FeatureTransfer | None = None
    selection: Selection | None = None
    strength: float = 1.0
    temperatures: Mapping[str, Tensor] = field(default_factory=dict)


def prepare(config: RunConfig) -> Ingredients:
    """Load the data, enlarge the pool, state the teachers, check the student; raises `InputError` for a mistake."""
    pick_device(config.settings.device)
    seed = config.settings.seed
    data = registry.find("data", config.methods["data"]).load(config.data, seed)
    data = augment(config.augmentation, data, seed)
    if config.teachers.select == "auto" and not bool((data.validation.y >= 0).any()):
        raise needs_labels()
    teachers = build_teachers(config.teachers, data, seed)
    validation = data.splits.get("validation")
    check_held_out("temperature", config.temperature, validation)
    if len(teachers) > 1:  # one alone has weight 1
        check_held_out("weighting", config.weighting, validation)
    judged = config.teachers.select == "auto" or asks_held_out("temperature", config.temperature)
    judged = judged or (len(teachers) > 1 and asks_held_out("weighting", config.weighting))
    warn_of_rows_seen(config.teachers, data, judged)
    student = make_student(config, data)
    check_output(student.skeleton, data.pool.x, data.num_classes)
    check_layers(config, student, teachers, data)
    partly = len(student.bayesian) < len(student.skeleton.shapes) and not gives_points(config.inference)
    if partly and not getattr(config.inference, "warm_start", 0):
        raise InputError(
            f"student.bayesian={config.student.bayesian} holds the other layers at their MAP, which "
            "inference.warm_start=0 leaves out; set it above 0"
        )
    cache = BankCache(config.teachers.cache)
    return Ingredients(data, tuple(teachers), cache, tuple(config.student.prior_from))


def ask(config: RunConfig, ingredients: Ingredients, progress: Progress) -> Problem:
    """Ask the teachers, training those that need it, choose and weight them, and make the prior."""
    data = ingredients.data
    banks, missing = ask_all(ingredients.teachers, data.splits, ingredients.cache, progress)
    for reason in missing.values():
        log.info(reason)
    offer = offer_of(config, data, banks, progress)
    tau = temperatures(config.temperature, banks["pool"], data.pool.y, offer)
    named = dict(zip(banks["pool"].names, tau.unbind(), strict=True))
    banks = temper(config.temperature, banks, tau)
    banks, selection = choose_teachers(config, data, banks, missing)
    offer = offer_of(config, data, banks, progress)
    said = ask_features(ingredients.teachers, config.features.pairs, data.pool, ingredients.cache, progress)
    pool = banks["pool"].with_features(said)
    weights = weigh(config.weighting, pool, data.pool.y, offer)
    warn_of_suspects(pool, data.pool.y, offer.held_out, weights.teachers)
    prior = registry.find("prior", config.methods["prior"]).build(config.prior, pool, weights)
    hints = registry.find("features", config.methods["features"]).build(config.features, pool)
    return Problem(data, banks, missing, weights, prior, hints, selection, config.prior.strength, named)


def choose_teachers(
    config: RunConfig, data: DistillationData, banks: dict[str, TeacherBank], missing: Mapping[str, str]
) -> tuple[dict[str, TeacherBank], Selection | None]:
    """The banks of the teachers that are heard, and how they were chosen, where they are not all heard.

    Raises `InputError` where they are to be chosen and no bank for the validation rows is there.
    """
    if config.teachers.select == "all":
        return banks, None
    if "validation" not in banks:
        raise InputError(
            f"teachers.select=auto: {missing.get('validation', 'no bank for validation')}; give every teacher's "
            "predictions there, or write teachers.select=all"
        )
    costs = banks["pool"].costs
    selection = select_teachers(banks["validation"], data.validation.y, config.settings.seed, costs)
    log.info("teachers heard: %s", ", ".join(selection.kept))
    return {split: bank.select(selection.kept) for split, bank in banks.items()}, selection


def check_layers(
    config: RunConfig, student: Student, teachers: Sequence[Teacher], data: DistillationData
) -> None:
    """Raise `InputError` for layers that the teachers or the student do not have, and for heads of another number."""
    pairs, layer = config.features.pairs, getattr(config.prior, "layer", None)
    if config.teachers.select == "auto" and (pairs or layer is not None):
        raise InputError(
            "teachers.select=auto may drop a teacher that features.layers or prior.layer counts on; choose the "
            "teachers in a run without them, and write teachers.select=all here"
        )
    check_askable(teachers, pairs)
    known = layer_paths(student.skeleton.module)
    if layer is not None and layer not in known:
        raise InputError(
            f"prior.layer is '{layer}', which the student lacks; use student=heads, or a layer of yours with K logits "
            f"a teacher; {nearest(layer, known)}"
        )
    wanted = [path for of in pairs.values() for path in of.values()] + ([] if layer is None else [layer])
    widths = student.skeleton.widths(data.pool.x[:2], list(dict.fromkeys(wanted)))
    if layer is not None:
        check_width(layer, widths[layer], len(teachers), data.num_classes)


def offer_of(
    config: RunConfig, data: DistillationData, banks: Mapping[str, TeacherBank], progress: Progress
) -> Offer:
    """What a temperature or a weighting can be given in a run: validation rows, and the student as a function."""
    held_out = banks.get("validation")
    seed = config.settings.seed

    def student() -> StudentFunction:
        influence = config.prior.strength * config.prior.concentration
        return as_function(make_student(config, data), data, influence, config.prior.temperature, seed)

    rows = None if held_out is None else HeldOut(held_out, data.validation.y)
    return Offer(rows, student, seed, progress)


def make_student(
    config: RunConfig,
    data: DistillationData,
    prior: TeacherPrior | None = None,
    hints: FeatureTransfer | None = None,
) -> Student:
    """The configured student; without a prior and hints the same one with labels only."""
    choice = config.student
    network = registry.find("student", config.methods["student"]).build(
        choice, data.input_shape, data.num_classes
    )
    weight_prior = make_weight_prior(choice, network)
    strength = config.prior.strength if prior is not None else 0.0
    return Student(
        network,
        prior,
        strength=strength,
        weight_prior=weight_prior,
        bayesian=choice.bayesian,
        hints=hints,
    )


def make_weight_prior(choice: Any, network: nn.Module) -> WeightPrior:
    """What the student's configuration says of its weights: a normal, or what posteriors of this network know.

    Raises `InputError` for a folder that is missing or holds the posterior of another network.
    """
    if not choice.prior_from:
        return NormalWeights(choice.prior_scale, choice.prior_kind)
    folders = {path: existing(path, "student.prior_from") for path in choice.prior_from}
    posteriors = {path: Posterior.load(folder, network) for path, folder in folders.items()}
    return PosteriorWeights(posteriors, choice.prior_pool, widen=choice.prior_widen)
