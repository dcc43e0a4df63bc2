import pytest
import tiny_runs
from omegaconf import OmegaConf

from mtbkd import registry
from mtbkd.configuration import RunConfig, described, differing, flatten, plain, resolve
from mtbkd.errors import InputError
from mtbkd.inference.svi import SVIConfig


def test_choices_are_typed():
    config = tiny_runs.resolved("inference.steps=7", "student.hidden=[3,2]", "seed=4")
    assert config.inference == SVIConfig(**{**vars(registry.default_config("inference", "svi")), "steps": 7})
    assert list(config.student.hidden) == [3, 2]
    assert config.settings.seed == 4
    assert config.methods["weighting"] == "entropy"
    assert config.resolved["inference"]["steps"] == 7


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["inference.steps=abc"], "inference.steps is 'abc'; it must be a whole number"),
        (["inference.learning_rate=fast"], "inference.learning_rate is 'fast'; it must be a number"),
        (["inference.batch_size=x"], "inference.batch_size is 'x'; it must be a whole number or null"),
        (["student.hidden=32"], "student.hidden is 32; it must be a list of whole numbers, as [32,16]"),
        (["objective=student.nll"], "objective student.nll is measured on the test rows"),
        (
            ["tracking=mlflow", "tracking.uri=mlruns"],
            "tracking.uri is 'mlruns'; MLflow keeps runs in a database",
        ),
        (["fresh=perhaps"], "fresh is 'perhaps'; it must be true or false"),
        (["seed=-1"], "seed is -1; it must lie between 0 and 4294967295"),
        (["threads=0"], "threads is 0; write a number of at least 1, or auto"),
        (["compile=sometimes"], "compile: unknown value 'sometimes'; valid: always, auto, never"),
        (["prior.concentration=-1"], "prior.concentration is -1.0; it must be a finite number, at least 0"),
        (["prior.normalize=dens"], "did you mean 'density'?"),
        (["+prior.foo=1"], "prior.foo: unknown key; "),
        (["+sed=1"], "sed: unknown key; did you mean 'seed'?"),
        (
            ["~prior"],
            "prior is null, not a choice; write prior=NAME; valid: dirichlet_mixture, dirichlet_product",
        ),
        (["student=module"], "student.factory must be given: write student.factory=VALUE"),
        (["inference.steps=${nope}"], "inference.steps: Interpolation key 'nope' not found"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_wrong_value_is_named_with_its_mend(words, told):
    with pytest.raises(InputError) as caught:
        tiny_runs.resolved(*words)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_group_without_its_name_is_refused():
    config = tiny_runs.composed()
    config.inference = {"name": "sv"}
    with pytest.raises(InputError, match="inference: unknown method 'sv'; did you mean 'svi'"):
        resolve(config)


def hash_of(*words: str) -> str:
    return tiny_runs.resolved(*words).hash


def test_the_hash_is_of_what_is_computed():
    same = hash_of()
    assert hash_of("fresh=true", "threads=3", "teachers.cache=/elsewhere") == same
    assert len({same, hash_of("seed=1"), hash_of("device=auto"), hash_of("inference.steps=9")}) == 4


def test_differing_names_dotted_keys_but_no_incidental_ones():
    one = {"a": {"b": 1, "c": [1]}, "fresh": True, "teachers": {"cache": None}, "gone": 1}
    other = {"a": {"b": 2, "c": [1]}, "fresh": False, "teachers": {"cache": "x"}}
    assert differing(one, other) == ["a.b", "gone"]


def test_flatten():
    assert flatten({"a": {"b": {"c": 1}, "d": {}}, "e": None}) == {"a.b.c": 1, "a.d": {}, "e": None}


def test_plain_resolves_interpolations():
    assert plain(OmegaConf.create({"a": 2, "b": "${a}"})) == {"a": 2, "b": 2}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (int | None, "a whole number or null"),
        (list[float], "a list of numbers, as [0,0.5]"),
        (dict[str, int], "a mapping, as {key: value}"),
        (str, "text"),
    ],
)
def test_types_in_words(kind, words):
    assert described(kind) == words


def test_every_setting_of_the_top_reaches_the_run():
    config: RunConfig = tiny_runs.resolved(
        "device=auto", "threads=2", "compile=never", "fresh=true", "seed=5", "objective=[timing.student_s]"
    )
    assert vars(config.settings) == {
        "seed": 5,
        "device": "auto",
        "threads": "2",
        "compile": "never",
        "fresh": True,
        "objective": ["timing.student_s"],
    }


def test_what_changes_no_result_is_no_part_of_a_runs_identity():
    plain_run = tiny_runs.resolved()
    told = tiny_runs.resolved(
        "objective=timing.student_s", "tracking=mlflow", "tracking.uri=http://a", "threads=2"
    )
    assert told.hash == plain_run.hash
    assert differing(told.resolved, plain_run.resolved) == []
    assert differing({"trackings": 1, "objective2": 1}, {}) == ["objective2", "trackings"]
