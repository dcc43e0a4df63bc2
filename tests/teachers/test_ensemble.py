"""The ensemble's networks are independent, train alone as together, and learn the digits."""

from contextlib import contextmanager
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from mtbkd.data.distillation import Rows
from mtbkd.errors import InputError
from mtbkd.progress import Progress
from mtbkd.teachers import TeacherBank
from mtbkd.teachers.coverage import coverage_of
from mtbkd.teachers.ensemble import EnsembleConfig, EnsembleTeacher, build
from mtbkd.teachers.networks import CNNs, StackedMLP


def test_draws_learn_the_digits(digits, accuracy):
    teacher = build(
        "nets", EnsembleConfig(members=5, epochs=20, learning_rate=0.01, share=[0, 0.5]), digits, 0
    )
    assert accuracy(teacher) > 0.93
    z = teacher.predict(digits.test)
    assert z.shape == (5, len(digits.test), 10)
    assert bool((z.std(0) > 1e-3).all())  # no two members are the same network
    per_member = 64 * 64 + 64 + 64 * 10 + 10
    assert teacher.size() == (per_member, 5 * 4 * per_member)


def test_one_member_is_a_point_teacher(digits):
    teacher = build("net", EnsembleConfig(members=1, epochs=1), digits, 0)
    assert teacher.predict(digits.test).shape == (len(digits.test), 10)


def test_convolutions_learn_the_digits(digit_images, accuracy, digits):
    config = EnsembleConfig(
        members=2, network="cnn", channels=[8, 16], hidden=[32], epochs=4, learning_rate=0.01
    )
    teacher = build("nets", config, digit_images, 0)
    z = teacher.predict(digit_images.test)
    assert z.shape == (2, len(digit_images.test), 10)
    assert (z.softmax(-1).mean(0).argmax(-1) == digit_images.test.y).float().mean() > 0.9
    # 1 -> 8 -> 16 channels of 3x3, then 16 x 2 x 2 values -> 32 -> 10
    assert teacher.size()[0] == (9 * 8 + 8) + (72 * 16 + 16) + (64 * 32 + 32) + (32 * 10 + 10)


def test_the_same_seed_gives_the_same_teacher(digits):
    config = EnsembleConfig(members=2, epochs=2)
    torch.manual_seed(11)
    first = build("nets", config, digits, 7).predict(digits.test)
    before = torch.get_rng_state()
    second = build("nets", config, digits, 7).predict(digits.test)
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)  # the global generator is left alone
    assert not torch.equal(first, build("nets", config, digits, 8).predict(digits.test))


def test_a_stack_is_its_members():
    """Outputs and gradients of the stack are those of separate torch networks with the same weights."""
    torch.manual_seed(0)
    stack = StackedMLP(3, (2, 4), [5, 6], 7)
    x = torch.randn(3, 9, 2, 4)
    stack(x).square().sum().backward()
    for m in range(3):
        layers = [nn.Linear(8, 5), nn.Linear(5, 6), nn.Linear(6, 7)]
        for layer, weight, bias in zip(layers, stack.weights, stack.biases, strict=True):
            layer.load_state_dict({"weight": weight[m].T, "bias": bias[m, 0]})
        alone = nn.Sequential(nn.Flatten(), layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
        out = alone(x[m])
        torch.testing.assert_close(stack(x)[m], out)
        out.square().sum().backward()
        torch.testing.assert_close(stack.weights[0].grad[m], layers[0].weight.grad.T)


def test_prediction_does_not_depend_on_the_batch():
    torch.manual_seed(0)
    teacher = EnsembleTeacher("a", "", StackedMLP(2, (3,), [4], 2))
    x = torch.randn(2500, 3)
    rows = Rows(
        x, torch.zeros(2500, dtype=torch.int64), torch.arange(2500).numpy().astype(str), torch.arange(2500)
    )
    part = teacher.predict(rows.take(torch.arange(2000, 2500)))
    torch.testing.assert_close(teacher.predict(rows)[:, 2000:], part)


def test_networks_that_do_not_fit():
    with pytest.raises(InputError, match="list fewer channels or use network 'mlp'"):
        CNNs(1, (1, 8, 8), [4, 4, 4, 4], [], 10)
    with pytest.raises(InputError, match=r"inputs have shape \[64\]"):
        CNNs(1, (64,), [4], [], 10)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"members": 0}, "members is 0"),
        ({"network": "mpl"}, "did you mean 'mlp'"),
        ({"hidden": [16, 0]}, r"hidden\[1\] is 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0"),
        ({"weight_decay": -1.0}, "weight_decay is -1"),
        ({"share": [1.0, 0.0]}, "share is"),
        ({"network": "cnn", "channels": []}, "channels is empty"),
    ],
)
def test_configurations_are_checked(fields, message):
    with pytest.raises(InputError, match=message):
        EnsembleConfig(**fields)


def test_training_tells_its_progress(digits):
    class Heard(Progress):
        stages: ClassVar = []

        @contextmanager
        def stage(self, name, total):
            losses = []
            yield lambda steps=1, **figures: losses.append(float(figures["loss"]))
            self.stages.append((name, total, losses))

    build(
        "nets", EnsembleConfig(members=2, epochs=10, learning_rate=0.01, share=[0, 0.5]), digits, 0
    ).trained(Heard())
    ((name, total, losses),) = Heard.stages
    assert name == "training nets"
    assert total == len(losses) == 10 * 12  # 718 rows in batches of 64
    assert losses[0] == pytest.approx(np.log(10), rel=0.1)
    assert losses[-1] < losses[0] / 2


def test_networks_trained_on_some_classes_know_those(digits):
    teacher = build(
        "nets", EnsembleConfig(members=2, epochs=12, learning_rate=0.01, classes=["4", "6"]), digits, 0
    )
    assert teacher.known == (4, 6)
    rows = digits.test.take(torch.isin(digits.test.y, torch.tensor([4, 6])).nonzero().flatten())
    bank = TeacherBank.from_predictions(
        {"nets": teacher.predict(rows)}, classes=coverage_of({"nets": (4, 6)}, 10)
    )
    assert (bank.mean_probs()[0].argmax(-1) == rows.y).float().mean() > 0.95
    torch.testing.assert_close(bank.mean_probs()[0][:, [4, 6]].sum(-1), torch.ones(len(rows)))
