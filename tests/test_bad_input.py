"""Each kind of bad input is one error that names the thing, the value and the mend; the odd sizes work."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_model
from torch import nn

from mtbkd import DistillationData, Posterior, Student, TeacherBank, fit, priors, students, weighting
from mtbkd.data.arrays import from_arrays
from mtbkd.data.labels import encode_labels
from mtbkd.data.npz import read_npz
from mtbkd.errors import InputError
from mtbkd.inference import HMCConfig, MAPConfig, SVIConfig
from mtbkd.teachers import TeachersConfig, build_teachers

N, K = 6, 3
ENGINE = MAPConfig(steps=3, batch_size=None)


def inputs(n=N, seed=0):
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(seed))


def logits(n=N, k=K, seed=1):
    return torch.randn(n, k, generator=torch.Generator().manual_seed(seed))


def with_value(values, row, column, value):
    changed = values.clone()
    changed[row, column] = value
    return changed


def labels(*values):
    return torch.tensor(values)


Y = labels(0, 1, 2, 0, 1, -1)


def fitted(x=None, y=Y, network=None, prior=None, engine=ENGINE, **settings):
    x = inputs() if x is None else x
    student = Student(network or students.mlp(4, [3], K), prior, **settings)
    return fit(student, (x, y), engine, compiled="never", progress=False)


def mixture(**settings):
    bank = TeacherBank.from_logits({"esm": logits()})
    return priors.DirichletMixture(bank, weighting.uniform(bank), **settings)


def fitted_to_reversed_rows():
    x = inputs()
    bank = TeacherBank.from_logits({"esm": logits()}, inputs=x)
    return fitted(x.flip(0), prior=priors.DirichletMixture(bank, weighting.entropy(bank)))


def members(**fields):
    data = from_arrays(inputs(), Y)
    return build_teachers(TeachersConfig(members={"forest": fields}), data, seed=0)


PROBS = torch.softmax(logits(), -1)

# What is wrong: what is done, and what the message must name: the thing, the value, the mend.
REFUSED = {
    "NaN in logits": (
        lambda: TeacherBank.from_logits({"esm": with_value(logits(), 2, 1, torch.nan)}),
        ["teacher 'esm'", "row 2, class 1", "nan", "mend or drop the row"],
    ),
    "NaN in probabilities": (
        lambda: TeacherBank.from_probs({"esm": with_value(PROBS, 2, 1, torch.nan)}),
        ["teacher 'esm'", "row 2, class 1", "nan", "mend or drop the row"],
    ),
    "NaN in one draw": (
        lambda: TeacherBank.from_logits(
            {"nets": torch.stack([logits(), with_value(logits(), 4, 0, torch.nan)])}
        ),
        ["teacher 'nets'", "row 4, class 0, draw 1", "nan", "mend or drop the row"],
    ),
    "+inf in logits": (
        lambda: TeacherBank.from_logits({"esm": with_value(logits(), 5, 0, torch.inf)}),
        ["teacher 'esm'", "row 5, class 0", "inf", "mend or drop the row"],
    ),
    "-inf in logits": (
        lambda: TeacherBank.from_logits({"esm": with_value(logits(), 5, 0, -torch.inf)}),
        ["teacher 'esm'", "row 5, class 0", "-inf", "pass probabilities with from_probs"],
    ),
    "probabilities that do not sum to 1": (
        lambda: TeacherBank.from_probs({"esm": with_value(PROBS, 3, 0, 0.9)}),
        ["teacher 'esm'", "row 3 sums to", "not 1", "pass logits with from_logits, or normalise"],
    ),
    "a negative probability": (
        lambda: TeacherBank.from_probs({"esm": with_value(PROBS, 1, 2, -0.25)}),
        ["teacher 'esm'", "row 1, class 2", "-0.25", "pass logits with from_logits"],
    ),
    "teachers with different N": (
        lambda: TeacherBank.from_logits({"esm": logits(6), "t5": logits(5)}),
        ["teacher 'esm' has 6 rows", "teacher 't5' 5", "predict the same rows"],
    ),
    "teachers with different K": (
        lambda: TeacherBank.from_logits({"esm": logits(k=3), "t5": logits(k=4)}),
        ["teacher 'esm' has 3 classes", "teacher 't5' 4", "the same classes"],
    ),
    "no teachers": (lambda: TeacherBank.from_logits({}), ["no teachers", "give at least one"]),
    "teachers of other rows than the pool's": (
        lambda: fitted(inputs(4), labels(0, 1, 2, 0), prior=mixture()),
        ["6 rows", "the pool has 4", "build the bank on the pool's rows"],
    ),
    "rows in another order": (
        fitted_to_reversed_rows,
        ["teachers' rows", "another order (hash differs)", "ask the teachers on exactly the inputs"],
    ),
    "inputs in another order, asked of the bank": (
        lambda: TeacherBank.from_logits({"esm": logits()}, inputs=inputs()).check(inputs().flip(0)),
        ["hash", "rows in another order", "pass the same inputs in the same order"],
    ),
    "a label above K-1": (
        lambda: fitted(y=labels(0, 1, 2, 3, 1, -1)),
        ["label 3 at row 3", "outside 0..2", "use class indices, -1 for unlabelled"],
    ),
    "a label below -1": (
        lambda: fitted(y=labels(0, 1, 2, 0, -2, -1)),
        ["label -2 at row 4", "outside 0..2", "-1 for unlabelled"],
    ),
    "a label above K-1 in the data": (
        lambda: from_arrays(inputs(), labels(0, 1, 2, 3, 1, -1), class_names=["a", "b", "c"]),
        ["label 3 at row 3", "outside 0..2", "-1 for unlabelled"],
    ),
    "a label that is no whole number": (
        lambda: fitted(y=torch.tensor([0, 1, 2, 0.5, 1, -1])),
        ["label 0.5 at row 3", "no class index", "-1 for unlabelled"],
    ),
    "a label that is no class": (
        lambda: encode_labels(["cat", "dig"], ["cat", "dog"]),
        ["label 'dig' at row 1", "none of the classes", "did you mean 'dog'"],
    ),
    "fewer labels than rows": (
        lambda: fitted(y=labels(0, 1, 2)),
        ["6 inputs", "labels of shape (3,)", "one label a row, -1 for unlabelled"],
    ),
    "an empty pool": (
        lambda: fitted(inputs(0), labels().long()),
        ["pool is empty", "0 rows", "give at least one row"],
    ),
    "an empty pool in the data": (
        lambda: from_arrays(inputs(0), labels().long(), class_names=["a", "b"]),
        ["data 'arrays'", "pool is empty", "give at least one row"],
    ),
    "one class in the data": (
        lambda: from_arrays(inputs(), torch.zeros(N).long()),
        ["data 'arrays'", "1 class (0)", "at least 2 are needed"],
    ),
    "one class of a teacher": (
        lambda: TeacherBank.from_logits({"esm": logits(k=1)}),
        ["teacher 'esm'", "shape (6, 1)", "at least one row and two classes"],
    ),
    "one class of a network": (
        lambda: fitted(y=torch.zeros(N).long(), network=students.mlp(4, [3], 1)),
        ["network MLP", "gives 1 logit", "at least 2 classes are needed", "give two outputs"],
    ),
    "a NaN in the inputs": (
        lambda: fitted(with_value(inputs(), 2, 0, torch.nan)),
        ["pool: row 2", "NaN", "impute or drop it"],
    ),
    "an unknown method": (
        lambda: fitted(engine="svy"),
        ["inference", "'svy'", "did you mean 'svi'? valid: ensemble, hmc"],
    ),
    "an unknown value": (
        lambda: SVIConfig(guide="diagnal"),
        ["inference.guide", "'diagnal'", "did you mean 'diagonal'? valid: diagonal, flow"],
    ),
    "an unknown value of the prior": (
        lambda: mixture(normalize="densty"),
        ["normalize", "'densty'", "did you mean 'density'? valid: density, none, peak"],
    ),
    "an unknown way to compile": (
        lambda: fit(Student(students.mlp(4, [3], K)), (inputs(), Y), ENGINE, compiled="maybe"),
        ["compiled", "'maybe'", "valid: always, auto, never"],
    ),
    "an unknown kind of teacher": (
        lambda: members(kind="estimatr"),
        ["teachers.members.forest.kind", "'estimatr'", "did you mean 'estimator'"],
    ),
    "an unknown key of a teacher": (
        lambda: members(kind="estimator", estimater="random_forest"),
        ["teachers.members.forest", "unknown key 'estimater'", "did you mean 'estimator'"],
    ),
    "an unknown parameter of a teacher": (
        lambda: members(kind="estimator", params={"n_estimator": 10}),
        ["teacher 'forest'", "no parameter 'n_estimator'", "did you mean 'n_estimators'"],
    ),
    "an unknown device": (
        lambda: fit(Student(students.mlp(4, [3], K)), (inputs(), Y), ENGINE, device="gpu"),
        ["device 'gpu'", "valid: auto, cpu, cuda"],
    ),
    "a negative concentration": (
        lambda: mixture(concentration=-2.0),
        ["concentration is -2.0", "at least 0"],
    ),
    "a negative concentration of the product": (
        lambda: priors.DirichletProduct(
            TeacherBank.from_logits({"esm": logits()}), torch.ones(N, 1), concentration=-2.0
        ),
        ["concentration is -2.0", "at least 0"],
    ),
    "a negative strength": (lambda: fitted(strength=-1.0), ["strength is -1.0", "at least 0"]),
    "a temperature of 0": (lambda: mixture(temperature=0.0), ["temperature is 0.0", "greater than 0"]),
    "a negative scale of the weight prior": (
        lambda: students.NormalWeights(-1.0),
        ["prior_scale is -1.0", "greater than 0"],
    ),
    "no steps": (lambda: MAPConfig(steps=0), ["inference.steps is 0", "greater than 0"]),
    "no chains": (lambda: HMCConfig(num_chains=0), ["num_chains is 0", "greater than 0"]),
    "weights that do not sum to 1": (
        lambda: priors.DirichletMixture(TeacherBank.from_logits({"esm": logits()}), 0.5 * torch.ones(N, 1)),
        ["weights: row 0", "0.5", "sum to 1"],
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_bad_input_is_told_with_thing_value_and_mend(what):
    wrong, words = REFUSED[what]
    with pytest.raises(InputError) as caught:
        wrong()
    for word in words:
        assert word in str(caught.value)


# ---- files -------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def posterior():
    return fitted()


def cut(path):
    """Leave half of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def test_a_missing_posterior_is_told(tmp_path):
    with pytest.raises(
        InputError, match=r"no posterior at '.*nowhere'.* missing; give the folder `save` wrote"
    ):
        Posterior.load(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["posterior.json", "draws.safetensors"])
def test_a_truncated_posterior_is_told(name, posterior, tmp_path):
    posterior.save(tmp_path / "p")
    cut(tmp_path / "p" / name)
    with pytest.raises(
        InputError, match=r"posterior at '.*' is damaged or cut short .*; fit or save it again"
    ):
        Posterior.load(tmp_path / "p")


def test_a_posterior_in_another_network_is_told(posterior, tmp_path):
    posterior.save(tmp_path / "p")
    with pytest.raises(
        InputError, match=r"'0.weight' is \(3, 4\) in the file and \(5, 4\) in this network; load it into"
    ):
        Posterior.load(tmp_path / "p", students.mlp(4, [5], K))
    with pytest.raises(
        InputError, match=r"'2.bias' is \(3,\) in the file and absent in this network; load it"
    ):
        Posterior.load(tmp_path / "p", nn.Sequential(nn.Linear(4, 3)))


def test_a_missing_or_truncated_archive_is_told(tmp_path):
    with pytest.raises(InputError, match=r"teacher 'forest': path: no file '.*logits.npz'; .*"):
        members(kind="predictions", path=str(tmp_path / "logits.npz"), values="logits")
    path = tmp_path / "logits.npz"
    np.savez(path, logits=logits().numpy())
    cut(path)
    with pytest.raises(InputError, match=r"logits.npz: not an npz archive, or truncated; copy it again"):
        members(kind="predictions", path=str(path), values="logits")
    np.savez(path, logit=logits().numpy())
    with pytest.raises(InputError, match=r"no array 'logits'; did you mean 'logit'"):
        read_npz(path, ["logits"])


def test_missing_or_truncated_weights_are_told(tmp_path):
    path = tmp_path / "net.safetensors"
    net = {
        "kind": "torch_module",
        "factory": "torch.nn:Linear",
        "kwargs": {"in_features": 4, "out_features": K},
    }
    with pytest.raises(
        InputError, match=r"teacher 'forest': weights: no file '.*net.safetensors'; check the name"
    ):
        members(**net, weights=str(path))
    save_model(nn.Linear(4, K), path)
    members(**net, weights=str(path))
    cut(path)
    with pytest.raises(
        InputError, match=r"teacher 'forest': .*net.safetensors is no safetensors file, or truncated"
    ):
        members(**net, weights=str(path))


def test_predictions_on_disk_are_checked_as_those_in_memory(tmp_path):
    path = str(tmp_path / "probs.npz")
    np.savez(path, probs=with_value(PROBS, 3, 0, 0.9).numpy())
    with pytest.raises(InputError, match="teacher 'forest': row 3 sums to"):
        members(kind="predictions", path=path, values="probabilities")
    np.savez(path, logits=with_value(logits(), 2, 1, np.nan).numpy())
    with pytest.raises(InputError, match="teacher 'forest': row 2, class 1 is nan"):
        members(kind="predictions", path=path, values="logits")


# ---- what is odd, and right --------------------------------------------------------------------------------------
def test_a_class_without_a_label_is_a_warning():
    with pytest.warns(
        UserWarning, match="1 of 3 classes have no labelled example in the pool: 2; only the teachers"
    ):
        fitted(y=labels(0, 1, 1, 0, 1, -1))
    with pytest.warns(UserWarning, match="1 of 3 classes have no labelled example in the pool: cat"):
        from_arrays(inputs(), labels(0, 1, 1, 0, 1, -1), class_names=["ant", "bee", "cat"])


@pytest.mark.filterwarnings("error")
def test_no_labels_at_all_is_pure_distillation():
    nothing = torch.full((N,), -1)
    by_hand = fitted(y=nothing, prior=mixture())
    data = from_arrays(inputs(), class_names=["a", "b", "c"])
    assert isinstance(data, DistillationData)
    student = Student(students.mlp(4, [3], K), mixture())
    by_data = fit(student, data, ENGINE, compiled="never", progress=False)
    assert torch.equal(by_hand.predict(inputs()).probs, by_data.predict(inputs()).probs)


SIZES = {
    "one teacher": {"m": 1},
    "twenty teachers": {"m": 20},
    "two classes": {"k": 2},
    "a thousand classes": {"k": 1000},
    "one row": {"n": 1},
    "one row, one teacher": {"n": 1, "m": 1},
    "one unlabelled row": {"n": 1, "labelled": False},
}
ENGINES = {
    "map": MAPConfig(steps=5),
    "svi": SVIConfig(steps=5, warm_start=3, draws=4),
    "hmc": HMCConfig(num_chains=2, warmup=20, draws=2, warm_start=3, max_leapfrogs=2),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.filterwarnings("ignore:.*have no labelled example")
def test_odd_sizes_work_from_teachers_to_predictions(size, engine):
    n, m, k, labelled = ({"n": 5, "m": 3, "k": 3, "labelled": True} | SIZES[size]).values()
    x = inputs(n)
    # Sure teachers and many pseudo-observations: where float32 would overflow without logsumexp (METHOD fact 3).
    bank = TeacherBank.from_logits({f"t{i}": 20 * logits(n, k, seed=i) for i in range(m)}, inputs=x)
    weights = weighting.entropy(bank)
    torch.testing.assert_close(weights.sum(-1), torch.ones(n))
    prior = priors.DirichletMixture(bank, weights, concentration=100.0)
    y = torch.arange(n) % k if labelled else torch.full((n,), -1)
    student = Student(students.mlp(4, [3], k), prior)
    posterior = fit(student, (x, y), ENGINES[engine], compiled="never", progress=False)
    probs = posterior.predict(x).probs
    assert probs.shape == (posterior.num_chains * posterior.num_draws, n, k)
    assert bool(torch.isfinite(posterior.log_density).all())
    torch.testing.assert_close(probs.sum(-1), torch.ones(probs.shape[:2]))
    responsible = prior.responsibilities(posterior.predict(x).mean.log(), torch.arange(n))
    torch.testing.assert_close(responsible.sum(-1), torch.ones(n))
