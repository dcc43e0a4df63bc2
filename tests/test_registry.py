"""Methods are found by name; every one of them is a file, a configuration and a function."""

import dataclasses
import inspect

import pytest

from mtbkd import registry
from mtbkd.errors import InputError

FUNCTIONS = {"data": "load", "teacher": "build", "prior": "build", "student": "build", "inference": "sample"}
FUNCTIONS |= {"features": "build", "report": "write_report", "tracking": "build"}
METHODS = [(group, name) for group in registry.PACKAGES for name in registry.names(group)]


def test_what_there_is():
    assert {"dirichlet_mixture", "dirichlet_product"} <= set(registry.names("prior"))
    assert {"ensemble", "hmc", "laplace", "map", "nuts", "pyro_svi", "sghmc", "sgld", "svi"} <= set(
        registry.names("inference")
    )
    assert {"cnn", "heads", "mlp", "module"} <= set(registry.names("student"))
    assert registry.names("features") == ["hints", "none"]
    assert {"entropy", "uniform"} <= set(registry.names("weighting"))
    assert {"digits", "images", "proteins", "table"} <= set(registry.names("data"))


@pytest.mark.parametrize(("group", "name"), METHODS)
def test_every_method_has_its_configuration_and_function(group, name):
    module = registry.find(group, name)
    config = registry.config_class(module)
    assert dataclasses.is_dataclass(config)
    assert config.__dataclass_params__.frozen
    function = getattr(module, FUNCTIONS.get(group, name))
    assert inspect.isfunction(function)
    assert function.__doc__


@pytest.mark.parametrize(
    ("group", "name"), [pair for pair in METHODS if pair[0] in ("prior", "student", "inference")]
)
def test_a_configuration_knows_its_name(group, name):
    assert registry.config_class(registry.find(group, name))().name == name


@pytest.mark.parametrize(("group", "name"), [pair for pair in METHODS if pair[0] == "inference"])
def test_every_engine_has_the_same_door(group, name):
    parameters = inspect.signature(registry.find(group, name).sample).parameters
    assert list(parameters) == [
        "density",
        "config",
        "start",
        "generator",
        "progress",
        "checkpoints",
    ]


def test_unknown_methods_are_told_the_nearest():
    with pytest.raises(
        InputError, match=r"inference: unknown method 'hmcc'; did you mean 'hmc'\? valid: .*hmc, laplace, map"
    ):
        registry.find("inference", "hmcc")


@pytest.mark.parametrize(
    "name", ["engine", "rows", "adaptation", "", "../density", "hmc.sample", "os", "hmc "]
)
def test_what_is_no_method_is_not_found(name):
    with pytest.raises(InputError, match="unknown method"):
        registry.find("inference", name)


def test_defaults_are_the_dataclasss():
    assert registry.default_config("inference", "hmc").draws == 200


def test_a_method_with_an_error_of_its_own_tells_it(tmp_path, monkeypatch):
    """A missing package inside a method is not an unknown method."""
    import mtbkd.inference

    (tmp_path / "broken.py").write_text("import no_such_package\n")
    monkeypatch.setattr(mtbkd.inference, "__path__", [*mtbkd.inference.__path__, str(tmp_path)])
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        registry.find("inference", "broken")


def test_two_configurations_in_a_file_are_a_mistake(tmp_path, monkeypatch):
    import mtbkd.inference

    lines = ["from dataclasses import dataclass"]
    lines += [f"@dataclass(frozen=True)\nclass {n}Config:\n    name: str = 'two'" for n in ("A", "B")]
    (tmp_path / "two.py").write_text("\n".join(lines))
    monkeypatch.setattr(mtbkd.inference, "__path__", [*mtbkd.inference.__path__, str(tmp_path)])
    with pytest.raises(TypeError, match="defines 2 Config classes"):
        registry.find("inference", "two")
