"""A posterior's folder: read as it was written, to the bit; damage is told; what is there is never lost."""

import json
import os
import threading

import pytest
import torch
from safetensors.torch import load_file, save_file

from mtbkd.errors import InputError
from mtbkd.posterior_file import read_folder, replace_folder, write_folder, write_tensors

RECORD = {"network": None, "student": False, "info": {"a": 1.5}, "meta": {"engine": "map"}}
TENSORS = {"log_density": torch.arange(6.0).view(2, 3), "values/loc": torch.randn(2, 3, 4)}


@pytest.fixture
def folder(tmp_path):
    write_folder(tmp_path / "p", RECORD, TENSORS)
    return tmp_path / "p"


def content(folder) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in sorted(os.listdir(folder))}


# ---- tensors -------------------------------------------------------------------------------------------------------


def test_tensors_are_read_by_the_library_as_they_were(tmp_path):
    flat = torch.randn(2, 3, 10)
    tensors = {
        "a view": flat[..., 4:].unflatten(-1, (2, 3)),
        "transposed": flat.transpose(1, 2),
        "every second": flat[:, ::2],
        "expanded": torch.tensor([1.5]).expand(4),
        "scalar": torch.tensor(2.5, dtype=torch.float64),
        "none": torch.zeros(0, 3),
        "flags": torch.tensor([True, False, True]),
        "bytes": torch.arange(5, dtype=torch.uint8),
        "whole": torch.arange(-3, 3),
        "less whole": torch.arange(-3, 3, dtype=torch.int32),
        "short": torch.randn(3, 2, 2).half(),
        "brain": torch.randn(3).bfloat16(),
        "ein Name, é": torch.ones(2),
    }
    write_tensors(tmp_path / "t.safetensors", tensors)
    again = load_file(tmp_path / "t.safetensors")
    assert again.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert again[name].dtype == tensor.dtype
        assert torch.equal(again[name], tensor), name


def test_a_tensor_is_copied_a_chain_at_a_time(tmp_path, monkeypatch):
    """Draws that are views of a memory map must not come into memory twice."""
    sizes = []
    contiguous = torch.Tensor.contiguous
    monkeypatch.setattr(torch.Tensor, "contiguous", lambda t: (sizes.append(t.numel()), contiguous(t))[1])
    write_tensors(tmp_path / "t.safetensors", {"draws": torch.randn(5, 7, 10)[..., :4]})
    assert max(sizes) == 7 * 4


# ---- reading -------------------------------------------------------------------------------------------------------


def test_a_folder_is_read_as_it_was_written(folder):
    record, tensors = read_folder(folder)
    assert {key: record[key] for key in RECORD} == RECORD
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


@pytest.mark.parametrize("name", ["draws.safetensors", "posterior.json"])
@pytest.mark.parametrize("keep", [0.0, 0.001, 0.5, 0.99])
def test_a_truncated_file_is_told(folder, name, keep):
    written = (folder / name).read_bytes()
    (folder / name).write_bytes(written[: int(keep * len(written))])
    with pytest.raises(InputError, match="damaged or cut short"):
        read_folder(folder)


@pytest.mark.parametrize("name", ["draws.safetensors", "posterior.json"])
def test_a_missing_file_is_named(folder, name):
    os.unlink(folder / name)
    with pytest.raises(InputError, match=name):
        read_folder(folder)
    with pytest.raises(InputError, match=r"no posterior at '.*nowhere'"):
        read_folder(folder.with_name("nowhere"))


def test_a_file_in_place_of_the_folder_is_told(tmp_path):
    (tmp_path / "p").write_text("not a folder")
    with pytest.raises(InputError, match="no posterior at"):
        read_folder(tmp_path / "p")


@pytest.mark.parametrize(
    "text",
    ["[]", "{}", '"text"', '{"format": 1}', '{"format": 1, "network": null, "student": true}', "\ufffd"],
)
def test_a_record_that_is_none_is_told(folder, text):
    (folder / "posterior.json").write_text(text)
    with pytest.raises(InputError, match="posterior"):
        read_folder(folder)


def test_bytes_that_are_no_text_are_told(folder):
    (folder / "posterior.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="damaged"):
        read_folder(folder)


def test_missing_draws_are_told(folder):
    save_file({"values/loc": TENSORS["values/loc"]}, folder / "draws.safetensors")
    with pytest.raises(InputError, match="log_density"):
        read_folder(folder)


def test_another_format_is_told(folder):
    record = json.loads((folder / "posterior.json").read_text())
    (folder / "posterior.json").write_text(json.dumps(record | {"format": 99}))
    with pytest.raises(InputError, match="has format 99; this version reads 1"):
        read_folder(folder)


# ---- replacing -----------------------------------------------------------------------------------------------------


def test_writing_again_replaces_and_leaves_nothing_else(folder):
    write_folder(folder, RECORD | {"info": {"a": 2.5}}, TENSORS)
    assert read_folder(folder)[0]["info"] == {"a": 2.5}
    assert sorted(os.listdir(folder.parent)) == ["p"]
    assert sorted(content(folder)) == ["draws.safetensors", "posterior.json"]


def test_a_folder_of_something_else_is_not_replaced(tmp_path):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"thesis\.tex"):
        write_folder(tmp_path / "p", RECORD, TENSORS)
    assert (tmp_path / "p" / "thesis.tex").read_text() == "years of work"
    assert sorted(os.listdir(tmp_path)) == ["p"]


@pytest.mark.parametrize("step", ["write_tensors", "replace_folder"])
@pytest.mark.parametrize("existing", [False, True])
def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch, step, existing):
    if existing:
        write_folder(tmp_path / "p", RECORD, TENSORS)
    before = content(tmp_path / "p") if existing else None

    def full(*args):
        raise OSError("No space left on device")

    monkeypatch.setattr(f"mtbkd.posterior_file.{step}", full)
    with pytest.raises(OSError, match="No space"):
        write_folder(tmp_path / "p", RECORD | {"info": {}}, TENSORS)
    assert sorted(os.listdir(tmp_path)) == (["p"] if existing else [])
    if existing:
        assert content(tmp_path / "p") == before


def test_a_folder_takes_the_place_of_another(tmp_path):
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    replace_folder(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old" / "file").read_text() == "new"
    assert os.listdir(tmp_path) == ["old"]


def test_a_folder_can_be_read_by_whom_the_umask_lets(folder):
    (folder.parent / "q").mkdir()
    assert folder.stat().st_mode == (folder.parent / "q").stat().st_mode


def test_writes_at_once_leave_whole_folders(tmp_path):
    errors = []

    def write(name: str) -> None:
        try:
            write_folder(tmp_path / name, RECORD, TENSORS)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in ("p", "q")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert sorted(os.listdir(tmp_path)) == ["p", "q"]
