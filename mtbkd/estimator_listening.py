"""What a classifier hears of its teachers, and what it keeps of its fit to tell of it later."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from mtbkd.data.distillation import DistillationData
from mtbkd.estimator_choices import Choices
from mtbkd.rules import HeldOut, Offer
from mtbkd.teachers.bank import TeacherBank
from mtbkd.temperature import temper, temperatures
from mtbkd.weighting import Weights, weigh
from mtbkd.weighting.suspects import warn_of_suspects


@dataclass(frozen=True)
class Heard:
    """The teachers at X, as they are heard there; weights: how much each counts; temperatures: `[M]` or `[M, N]`, what
    their logits were divided by."""

    bank: TeacherBank
    weights: Weights
    temperatures: Tensor


@dataclass(frozen=True)
class Lesson:
    """A fit: the rows, what was heard of the teachers (None without), the seed, the teachers that came fitted, and what
    was warned of."""

    data: DistillationData
    heard: Heard | None
    seed: int
    brought: tuple[str, ...]
    warned: tuple[str, ...] = ()


def listen(
    choices: Choices, banks: Mapping[str, TeacherBank], labels: Mapping[str, Tensor], offer: Offer
) -> Heard:
    """What the teachers say of X, at their temperatures, and how much each of them counts there.

    banks, labels `[n]`: of the 'pool' and, where there are such rows, of 'held_out' ones
    """

    def known(banks: Mapping[str, TeacherBank]) -> Offer:
        held_out = HeldOut(banks["held_out"], labels["held_out"]) if "held_out" in banks else None
        return dataclasses.replace(offer, held_out=held_out)

    tau = temperatures(choices.temperature, banks["pool"], labels["pool"], known(banks))
    tempered = temper(choices.temperature, banks, tau)
    heard, offer = tempered["pool"], known(tempered)
    weights = weigh(choices.weighting, heard, labels["pool"], offer)
    warn_of_suspects(heard, labels["pool"], offer.held_out, weights.teachers)
    return Heard(heard, weights, tau)


def listen_elsewhere(choices: Choices, heard: Heard, bank: TeacherBank) -> TeacherBank:
    """The teachers at other rows, at the temperatures at which they were heard at X."""
    tau = heard.temperatures
    return bank.tempered(tau if tau.dim() == 1 else temperatures(choices.temperature, bank))
