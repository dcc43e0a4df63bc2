"""Spoilt teachers by hand: what each says is the other member's logits, exchanged, multiplied or the same."""

import dataclasses

import pytest
import torch

from mtbkd.errors import InputError
from mtbkd.teachers import BankCache, TeachersConfig, ask_all, build_teachers
from mtbkd.teachers.broken import BrokenConfig, BrokenTeacher, RandomTeacher, derangement

NB = {"kind": "estimator", "estimator": "gaussian_nb", "share": [0.0, 0.5]}


@dataclasses.dataclass(frozen=True)
class Fixed:
    """A teacher that says two rows of given logits."""

    name: str = "fixed"
    fingerprint: str = "f"

    def predict(self, rows):
        return torch.tensor([[1.0, 2.0, 3.0], [4.0, -torch.inf, 6.0]])

    def size(self):
        return 7, 28


def built(members, data, seed=0):
    return {teacher.name: teacher for teacher in build_teachers(TeachersConfig(members=members), data, seed)}


def test_classes_are_told_of_others_and_logits_multiplied(digits):
    order = torch.tensor([1, 2, 0])  # what is said of class 0 is told of class 1, ...
    permuted = BrokenTeacher("p", "x", Fixed(), order).predict(digits.test)
    assert permuted.tolist() == [[3.0, 1.0, 2.0], [6.0, 4.0, -torch.inf]]
    loud = BrokenTeacher("o", "x", Fixed(), factor=2.0).predict(digits.test)
    assert loud.tolist() == [[2.0, 4.0, 6.0], [8.0, -torch.inf, 12.0]]
    assert BrokenTeacher("o", "x", Fixed()).size() == (7, 28)


def test_classes_that_the_other_does_not_know_are_told_of_others_too(digits):
    one = built({"a": {"kind": "broken", "of": NB | {"classes": ["2", "5"]}}}, digits)["a"]
    z = one.predict(digits.test)
    told = [k for k in range(10) if torch.isfinite(z[:, k]).any()]
    assert one.known == one.trained().known == tuple(told)
    assert told != [2, 5]
    assert BrokenTeacher("p", "x", Fixed(), torch.tensor([1, 2, 0])).known is None


def test_draws_keep_their_axis(digits):
    member = {"kind": "ensemble", "members": 2, "epochs": 1, "hidden": [4], "share": [0.0, 0.2]}
    teachers = built({"nets": member, "bad": {"kind": "broken", "of": member, "named": "nets"}}, digits)
    z, bad = (teacher.predict(digits.test) for teacher in teachers.values())
    order = teachers["bad"].trained().order
    assert z.shape == bad.shape == (2, 180, 10)
    assert torch.equal(bad[..., order], z)


@pytest.mark.parametrize("count", [2, 3, 10])
def test_a_derangement_moves_every_class(count):
    for seed in range(50):
        order = derangement(count, seed)
        assert sorted(order.tolist()) == list(range(count))
        assert (order != torch.arange(count)).all()
    assert torch.equal(derangement(10, 3), derangement(10, 3))
    assert derangement(2, 0).tolist() == [1, 0]


def test_all_derangements_of_three_are_as_likely():
    # There are two, the two rotations: a binomial of 400 halves, 4 standard deviations are 40.
    rotations = sum(derangement(3, seed).tolist() == [1, 2, 0] for seed in range(400))
    assert abs(rotations - 200) < 40


def test_a_permuted_teacher_is_right_about_nothing_that_the_other_is_right_about(digits, accuracy):
    teachers = built({"good": NB, "bad": {"kind": "broken", "how": "permuted", "of": NB}}, digits)
    assert accuracy(teachers["good"]) > 0.7
    assert accuracy(teachers["bad"]) < 0.1


def test_a_duplicate_under_the_same_name_says_the_same(digits):
    forest = {"kind": "estimator", "estimator": "random_forest", "params": {"n_estimators": 5}}
    same = {"kind": "broken", "how": "duplicate", "of": forest, "named": "forest"}
    teachers = built({"forest": forest, "same": same, "other": same | {"named": None}}, digits)
    z = {name: teacher.predict(digits.test) for name, teacher in teachers.items()}
    assert torch.equal(z["forest"], z["same"])
    assert not torch.equal(z["forest"], z["other"]), "a name of its own gives chance of its own"
    assert len({teacher.fingerprint for teacher in teachers.values()}) == 3


def test_random_logits_are_normal_and_belong_to_the_input(digits):
    teacher = RandomTeacher("r", 10, 5.0, seed=1)
    z = teacher.predict(digits.pool)
    assert z.std() == pytest.approx(5, rel=0.03)  # 14,370 numbers: five standard errors
    assert abs(z.mean()) < 0.2
    assert torch.equal(teacher.predict(digits.pool.take(torch.tensor([7, 3]))), z[[7, 3]])
    assert not torch.equal(RandomTeacher("r", 10, 5.0, seed=2).predict(digits.pool), z)
    assert (z.argmax(1) == digits.teacher_y).double().mean() == pytest.approx(0.1, abs=0.04)


def test_every_choice_is_in_the_fingerprint(digits):
    base = {"kind": "broken", "how": "overconfident", "of": NB}
    changes = [
        {},
        {"factor": 2.0},
        {"how": "duplicate"},
        {"how": "permuted"},
        {"of": NB | {"share": [0.5, 1.0]}},
        {"how": "random"},
        {"how": "random", "factor": 2.0},
    ]
    prints = [built({"bad": base | change}, digits)["bad"].fingerprint for change in changes]
    prints.append(built({"bad": base | {"how": "permuted"}}, digits, seed=1)["bad"].fingerprint)
    assert len(set(prints)) == len(prints)
    # What is not used is no part of it.
    assert built({"bad": base | {"how": "duplicate", "factor": 2.0}}, digits)["bad"].fingerprint == prints[2]


def test_a_bank_of_good_and_spoilt_teachers(digits, tmp_path):
    members = {
        "good": NB,
        "permuted": {"kind": "broken", "of": NB},
        "random": {"kind": "broken", "how": "random"},
        "loud": {"kind": "broken", "how": "overconfident", "of": NB, "factor": 3.0},
    }
    teachers = list(built(members, digits).values())
    banks, missing = ask_all(teachers, {"test": digits.test}, BankCache(tmp_path))
    assert not missing
    assert banks["test"].names == tuple(members)
    good, loud = banks["test"].predictions[0], banks["test"].predictions[3]
    torch.testing.assert_close(loud, 3 * good)


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ({"how": "broken"}, r"teachers\.members\.bad: how: unknown value 'broken'"),
        ({"how": "permuted"}, r"teachers\.members\.bad: of is not set; give the kind"),
        ({"factor": 0.0, "of": NB}, r"teachers\.members\.bad: factor is 0"),
        ({"of": {"kind": "estimater"}}, r"teachers\.members\.bad\.of\.kind: unknown kind 'estimater'"),
        (
            {"of": NB | {"shares": [0, 1]}},
            r"teachers\.members\.bad\.of: unknown key 'shares' of kind estimator",
        ),
    ],
)
def test_what_is_wrong_is_told(member, message, digits):
    with pytest.raises(InputError, match=message):
        built({"bad": {"kind": "broken", **member}}, digits)


def test_the_default_is_refused_without_another_member():
    with pytest.raises(InputError, match="of is not set"):
        BrokenConfig()
