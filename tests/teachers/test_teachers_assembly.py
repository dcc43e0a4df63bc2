"""Sets of teachers: every YAML of the group, and everything that a member may get wrong."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import skops.io
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_model
from sklearn.naive_bayes import GaussianNB
from torch import nn

from mtbkd.errors import InputError
from mtbkd.registry import config_class, find, names
from mtbkd.teachers import BankCache, TeachersConfig, ask_all, build_teachers

CONF = Path(__file__).parents[2] / "conf" / "teachers"
KINDS = (
    "broken",
    "ensemble",
    "estimator",
    "predictions",
    "saved_posterior",
    "skops_file",
    "supplied",
    "torch_module",
)


def linear() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def read(name, **changes):
    merged = OmegaConf.merge(OmegaConf.structured(TeachersConfig), OmegaConf.load(CONF / f"{name}.yaml"))
    merged = OmegaConf.merge(merged, OmegaConf.from_dotlist([f"{k}={v}" for k, v in changes.items()]))
    return TeachersConfig(**OmegaConf.to_container(merged, throw_on_missing=False))


def test_the_kinds_are_the_modules_with_a_config():
    assert tuple(names("teacher")) == KINDS


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_set_names_itself_and_writes_out_its_fields(path):
    """Templates write out every field of their kind, with the kind's defaults."""
    raw = OmegaConf.to_container(OmegaConf.load(path))
    assert raw["name"] == path.stem
    assert list(raw) == [f.name for f in dataclasses.fields(TeachersConfig)]
    for member in (raw["members"] or {}).values():
        kind = member.pop("kind")
        fields = {f.name: f for f in dataclasses.fields(config_class(find("teacher", kind)))}
        assert set(member) <= set(fields)
        if path.stem in ("predictions", "skops", "torch", "saved_posterior"):
            assert list(member) == list(fields)
            for key, value in member.items():
                field = fields[key]
                made = None if field.default_factory is dataclasses.MISSING else field.default_factory()
                default = made if field.default is dataclasses.MISSING else field.default
                assert value == ("???" if default is None and value == "???" else default)


def test_the_digits_trio(digits, tmp_path):
    banks, missing = ask_all(
        build_teachers(read("digits_trio"), digits, 0), digits.splits, BankCache(tmp_path)
    )
    assert not missing
    assert banks["pool"].names == ("nets", "forest", "svm")
    assert [len(z) for z in banks["pool"].predictions] == [5, 1, 1]
    accuracy = (banks["test"].mean_probs().argmax(-1) == digits.test.y).float().mean(1)
    assert bool((accuracy > 0.9).all())
    banks["ood"].check(digits.ood.x)
    assert not banks["ood"].mean_probs().isnan().any()


def test_only_those_that_are_named_are_asked(digits):
    assert [one.name for one in build_teachers(read("digits_trio", only="[svm,nets]"), digits, 0)] == [
        "nets",
        "svm",
    ]
    all_of_them = {one.name: one.fingerprint for one in build_teachers(read("digits_trio"), digits, 0)}
    (alone,) = build_teachers(read("digits_trio", only="[forest]"), digits, 0)
    assert alone.fingerprint == all_of_them["forest"], "the same teacher, whoever else is asked"


def test_one_that_is_not_there_cannot_be_asked(digits):
    with pytest.raises(InputError, match=r"teachers\.only: no teacher is called 'swm'; .*svm"):
        build_teachers(read("digits_trio", only="[nets,swm]"), digits, 0)
    votes = find("data", "synthetic").load(config_class(find("data", "synthetic"))(), 0)
    assert [one.name for one in build_teachers(read("supplied", only="[votes]"), votes, 0)] == ["votes"]
    with pytest.raises(InputError, match=r"teachers\.only: no teacher is called 'vote'; .*votes"):
        build_teachers(read("supplied", only="[vote]"), votes, 0)


def few(data, n=300):
    """The data with the pool's first rows only."""
    pool = data.pool.take(torch.arange(n))
    return dataclasses.replace(data, pool=pool, teacher_y=data.teacher_y[:n])


def test_the_images_trio(digit_images, tmp_path):
    config = read(
        "images_trio",
        **{
            "members.convnets.epochs": 3,
            "members.forest.params.n_estimators": 10,
            "members.perceptron.epochs": 3,
        },
    )
    banks, _ = ask_all(
        build_teachers(config, few(digit_images), 0), {"pool": digit_images.test}, BankCache(tmp_path)
    )
    assert banks["pool"].names == ("convnets", "forest", "perceptron")
    assert [len(z) for z in banks["pool"].predictions] == [3, 1, 1]


def test_the_table_trio(digits, tmp_path):
    config = read(
        "table_trio", **{"members.forest.params.n_estimators": 10, "members.boosting.params.max_iter": 20}
    )
    banks, _ = ask_all(build_teachers(config, few(digits), 0), {"pool": digits.test}, BankCache(tmp_path))
    assert banks["pool"].names == ("forest", "boosting", "logistic")
    accuracy = (banks["pool"].mean_probs().argmax(-1) == digits.test.y).float().mean(1)
    assert bool((accuracy > 0.6).all())


def test_supplied_teachers(digits, tmp_path):
    z = {split: torch.zeros(len(rows), 10) for split, rows in digits.splits.items() if split != "ood"}
    data = dataclasses.replace(digits, supplied={"esm": z, "t5": z})
    teachers = build_teachers(read("supplied"), data, 0)
    assert [teacher.name for teacher in teachers] == ["esm", "t5"]
    banks, missing = ask_all(teachers, data.splits, BankCache(tmp_path))
    assert missing == {"ood": "no bank for ood: esm, t5 without predictions there"}
    assert banks["test"].costs[0].latency_ms is None
    with pytest.raises(InputError, match="came without predictions; name teachers"):
        build_teachers(read("supplied"), digits, 0)


def test_the_templates_become_teachers(digits, tmp_path):
    np.savez(tmp_path / "p.npz", probs=np.full((1797, 10), 0.1))
    skops.io.dump(GaussianNB().fit(digits.pool.x, digits.teacher_y), tmp_path / "m.skops")
    save_model(linear(), tmp_path / "w.safetensors")
    first = "members.first"
    configs = [
        read("predictions", **{f"{first}.path": tmp_path / "p.npz", f"{first}.values": "probabilities"}),
        read("skops", files=[str(tmp_path / "m.skops")]),
        read(
            "torch",
            **{f"{first}.factory": f"{__name__}:linear", f"{first}.weights": tmp_path / "w.safetensors"},
        ),
    ]
    for config in configs:
        (teacher,) = build_teachers(config, digits, 0)
        z = teacher.predict(digits.test)
        assert z.shape[-2:] == (len(digits.test), 10)


@pytest.mark.parametrize("name", ["predictions", "torch", "saved_posterior"])
def test_a_template_says_what_is_not_set(name, digits):
    with pytest.raises(InputError, match=r"teachers\.members\.first\.\w+ is not set; \w+"):
        build_teachers(read(name), digits, 0)


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (
            {"kind": "estimater"},
            r"teachers\.members\.a\.kind: unknown kind 'estimater'; did you mean 'estimator'",
        ),
        ({"kind": "assembly"}, "unknown kind 'assembly'"),
        ({"estimator": "svc"}, r"teachers\.members\.a is .*give it a kind: broken, ensemble, estimator"),
        ("forest", "give it a kind"),
        (
            {"kind": "estimator", "estimater": "svc"},
            "unknown key 'estimater' of kind estimator; did you mean 'estim",
        ),
        (
            {"kind": "estimator", "estimator": "scv"},
            r"teachers\.members\.a: estimator: unknown value 'scv'; did you",
        ),
        ({"kind": "ensemble", "members": 2.5}, r"teachers\.members\.a\.members: Value '2\.5'"),
        ({"kind": "ensemble", "share": 0.5}, r"teachers\.members\.a\.share"),
        ({"kind": "ensemble", "epochs": 0}, r"teachers\.members\.a: epochs is 0"),
        ({"kind": "ensemble", "hidden": ["wide"]}, r"teachers\.members\.a\.hidden"),
    ],
)
def test_members_are_checked(member, message, digits):
    with pytest.raises(InputError, match=message):
        build_teachers(TeachersConfig(members={"a": member}), digits, 0)


def test_every_member_is_checked_before_any_is_built(digits, monkeypatch):
    def never(*_):
        raise AssertionError("built before all members were checked")

    monkeypatch.setattr(find("teacher", "ensemble"), "build", never)
    with pytest.raises(InputError, match="unknown kind"):
        build_teachers(TeachersConfig(members={"a": {"kind": "ensemble"}, "b": {"kind": "x"}}), digits, 0)


def test_files_are_teachers_called_as_they_are(digits, tmp_path):
    model = GaussianNB().fit(digits.pool.x, digits.teacher_y)
    for name in ("one", "two"):
        skops.io.dump(model, tmp_path / f"{name}.skops")
    files = [str(tmp_path / "two.skops"), str(tmp_path / "one.skops")]
    more = {"third": {"kind": "estimator", "estimator": "gaussian_nb"}}
    teachers = build_teachers(TeachersConfig(files=files, members=more), digits, 0)
    assert [teacher.name for teacher in teachers] == ["two", "one", "third"]
    for twice in (TeachersConfig(files=files + files[:1]), TeachersConfig(files=files, members={"one": {}})):
        with pytest.raises(InputError, match=r"is a second teacher called '(two|one)'; rename the file"):
            build_teachers(twice, digits, 0)


def test_trusted_types_of_the_set_reach_its_skops_files(digits, monkeypatch):
    seen = []
    monkeypatch.setattr(find("teacher", "skops_file"), "build", lambda name, config, *_: seen.append(config))
    member = {"kind": "skops_file", "path": "m.skops", "trusted": ["one.Type"]}
    build_teachers(TeachersConfig(members={"a": member}, trusted=["other.Type"]), digits, 0)
    assert seen[0].trusted == ["one.Type", "other.Type"]


def test_classes_of_members_may_be_written_as_numbers_and_left_out(digits, tmp_path):
    np.savez(tmp_path / "p.npz", probs=np.full((1797, 2), 0.5))
    factory = {"factory": f"{__name__}:linear", "kwargs": {}}
    members = {
        "trained": {"kind": "estimator", "estimator": "gaussian_nb", "classes": [4, 2]},
        "nets": {"kind": "ensemble", "members": 1, "epochs": 1, "classes": ["0", 9]},
        "module": {"kind": "torch_module", **factory, "classes": [0, None, 2, 3, None, 5, 6, 7, 8, 9]},
        "file": {
            "kind": "predictions",
            "path": str(tmp_path / "p.npz"),
            "values": "probabilities",
            "classes": [1, 7],
        },
    }
    teachers = build_teachers(TeachersConfig(members=members), digits, 0)
    banks, _ = ask_all(teachers, {"pool": digits.pool}, BankCache(tmp_path))
    known = [row.nonzero().flatten().tolist() for row in banks["pool"].classes]
    assert known == [[2, 4], [0, 9], [0, 2, 3, 5, 6, 7, 8, 9], [1, 7]]
    with pytest.raises(InputError, match=r"teacher 'trained': its class 'two' .* valid: 0, 1, 2"):
        build_teachers(
            TeachersConfig(members={"trained": members["trained"] | {"classes": ["two", 4]}}), digits, 0
        )
