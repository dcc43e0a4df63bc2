"""From the `teachers` group of a configuration to teachers."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from mtbkd.data.distillation import DistillationData
from mtbkd.errors import InputError, nearest
from mtbkd.registry import config_class, find, names
from mtbkd.teachers import TeachersConfig
from mtbkd.teachers.supplied import SuppliedConfig
from mtbkd.teachers.supplied import build as build_supplied
from mtbkd.teachers.teacher import Teacher


def build_teachers(config: TeachersConfig, data: DistillationData, seed: int) -> list[Teacher]:
    """The configured teachers, in order; every member is checked before the first one is built.

    Without members: all teachers that came with the data. Raises `InputError` for unknown kinds, keys and
    values, and for whatever a kind refuses.
    """
    if not config.all_members:
        if not data.supplied:
            raise InputError(
                f"teachers.members and teachers.files are empty, and data '{data.name}' came without predictions; name "
                "teachers, as in teachers=skops teachers.files=[forest.skops]"
            )
        return [build_supplied(name, SuppliedConfig(), data, seed) for name in config.asked(data.supplied)]
    members = {f"teachers.members.{name}": member for name, member in config.all_members.items()}
    checked = [checked_member(where, member, config.trusted) for where, member in members.items()]
    return [
        find("teacher", kind).build(name, member, data, seed)
        for name, (kind, member) in zip(config.all_members, checked, strict=True)
    ]


def checked_member(where: str, member: Any, trusted: list[str]) -> tuple[str, Any]:
    """The kind of a member and its configuration, of the types that the kind asks for.

    where: how errors call it; trusted: further types that skops files may hold
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

    if not isinstance(member, Mapping) or "kind" not in member:
        raise InputError(f"{where} is {member}; give it a kind: {', '.join(names('teacher'))}")
    kind = str(member["kind"])
    if kind not in names("teacher"):
        raise InputError(f"{where}.kind: unknown kind '{kind}'; {nearest(kind, names('teacher'))}")
    wanted = config_class(find("teacher", kind))
    assert wanted is not None
    fields_meaning = " ".join((wanted.__doc__ or "").split())
    values = {str(key): value for key, value in member.items() if key != "kind"}
    fields = [f.name for f in dataclasses.fields(wanted)]
    try:
        merged = OmegaConf.merge(OmegaConf.structured(wanted), values)
        config: Any = OmegaConf.to_object(merged)
    except ConfigKeyError as error:
        key = str(error.full_key)
        raise InputError(f"{where}: unknown key '{key}' of kind {kind}; {nearest(key, fields)}") from error
    except MissingMandatoryValue as error:
        raise InputError(f"{where}.{error.full_key} is not set; {fields_meaning}") from error
    except OmegaConfBaseException as error:
        problem = str(error).splitlines()[0]
        raise InputError(f"{where}.{error.full_key}: {problem}; {fields_meaning}") from error
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    if "trusted" in fields:
        config = dataclasses.replace(config, trusted=[*config.trusted, *trusted])
    return kind, config
