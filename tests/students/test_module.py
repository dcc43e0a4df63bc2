import pytest
import torch
from user_networks import Normed

from mtbkd import registry
from mtbkd.errors import InputError
from mtbkd.students.module import ModuleConfig, build
from mtbkd.students.spec import NetworkSpec


def test_a_factory_hears_shapes_where_it_names_them():
    network = build(ModuleConfig(factory="user_networks:perceptron", kwargs={"width": 7}), (6,), 3)
    assert [tuple(p.shape) for p in network.parameters()] == [(7, 6), (7,), (3, 7), (3,)]


def test_a_class_is_a_factory():
    network = build(ModuleConfig(factory="user_networks:Normed", kwargs={"width": 4}), (6,), 3)
    assert isinstance(network, Normed)
    assert network.head.in_features == 4
    assert isinstance(build(ModuleConfig(factory="user_networks:Signal"), (6,), 3), torch.nn.Sequential)


def test_keyword_arguments_win_over_what_is_offered():
    config = ModuleConfig(factory="user_networks:perceptron", kwargs={"num_classes": 5})
    assert build(config, (6,), 3)[-1].out_features == 5


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("", "write package.module:function"),
        ("user_networks.perceptron", "write package.module:function"),
        ("user_networks:nothing", "cannot be imported.*nothing"),
        ("no_such_package:f", "cannot be imported.*no_such_package"),
        ("user_networks:not_a_network", "returned str; an nn.Module is needed"),
        ("user_networks:USERS_OWN", "not.*call"),
    ],
)
def test_bad_factories_are_refused(factory, message):
    with pytest.raises(InputError, match=message):
        build(ModuleConfig(factory=factory), (6,), 3)


def test_wrong_keyword_arguments_are_refused():
    config = ModuleConfig(factory="user_networks:perceptron", kwargs={"wdith": 7})
    with pytest.raises(InputError, match=r"cannot be called.*wdith"):
        build(config, (6,), 3)


def test_found_by_name_and_stored_without_its_code():
    module = registry.find("student", "module")
    network = module.build(ModuleConfig(factory="user_networks:perceptron"), (6,), 3)
    assert NetworkSpec.of(network) is None
