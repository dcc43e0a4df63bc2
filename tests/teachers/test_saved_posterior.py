"""A posterior of ours as a teacher: the same draws, saved or in memory."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

import mtbkd
from mtbkd.errors import InputError
from mtbkd.students import mlp
from mtbkd.students.skeleton import Skeleton
from mtbkd.students.spec import NetworkSpec
from mtbkd.teachers import PredictiveTeacher
from mtbkd.teachers.saved_posterior import SavedPosteriorConfig, build


@dataclass
class Draws:
    """Two draws that any object might predict."""

    num_weights: int = 7
    stored_bytes: int = 56

    def predict(self, x: Tensor) -> mtbkd.Prediction:
        p = torch.tensor([[[1.0, 0.0]], [[0.25, 0.75]]])
        return mtbkd.Prediction(p.expand(2, len(x), 2))


def posterior(classes: int = 10, draws: int = 3) -> mtbkd.Posterior:
    torch.manual_seed(0)
    skeleton = Skeleton(mlp(64, [4], classes))
    values = {name: torch.randn(1, draws, *shape) for name, shape in skeleton.shapes.items()}
    return mtbkd.Posterior(
        values, torch.zeros(1, draws), skeleton=skeleton, spec=NetworkSpec.of(skeleton.module)
    )


def test_probabilities_become_logits_and_zeros_stay_zeros(digits):
    teacher = PredictiveTeacher("old", Draws(), "print")
    z = teacher.predict(digits.test)
    torch.testing.assert_close(z.exp()[:, 5], torch.tensor([[1.0, 0.0], [0.25, 0.75]]))
    assert z[0, 0, 1] == -torch.inf
    assert teacher.size() == (7, 56)


def test_a_posterior_of_ours(digits, tmp_path):
    fitted = posterior()
    fitted.save(tmp_path / "posterior")
    teacher = build("old", SavedPosteriorConfig(str(tmp_path / "posterior")), digits, 0)
    torch.testing.assert_close(teacher.predict(digits.test).exp(), fitted.predict(digits.test.x).probs)
    assert teacher.size()[0] == 65 * 4 + 5 * 10
    assert (
        teacher.fingerprint
        == build("b", SavedPosteriorConfig(str(tmp_path / "posterior")), digits, 0).fingerprint
    )
    posterior(draws=2).save(tmp_path / "other")
    assert (
        teacher.fingerprint
        != build("b", SavedPosteriorConfig(str(tmp_path / "other")), digits, 0).fingerprint
    )


def test_posteriors_that_do_not_serve(digits, tmp_path):
    with pytest.raises(InputError, match="no file"):
        build("old", SavedPosteriorConfig(str(tmp_path / "none")), digits, 0)
    posterior(classes=7).save(tmp_path / "seven")
    with pytest.raises(InputError, match="tells 7 classes apart, the data has 10"):
        build("old", SavedPosteriorConfig(str(tmp_path / "seven")), digits, 0)
