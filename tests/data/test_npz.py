"""Archives: what is read, and what each kind of damage says."""

import numpy as np
import pytest

from mtbkd.data.npz import existing, read_npz
from mtbkd.errors import InputError


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, x=np.arange(6.0).reshape(2, 3), names=np.array([b"a", b"bc"]), spare=np.ones(1))
    return path


def test_named_arrays_come_back_and_bytes_become_text(archive):
    arrays = read_npz(archive, ["x"], ["names", "absent"])
    assert set(arrays) == {"x", "names"}
    assert arrays["names"].tolist() == ["a", "bc"]
    assert arrays["x"][1].tolist() == [3, 4, 5]


def test_a_missing_array_names_the_nearest(archive):
    with pytest.raises(InputError, match=r"no array 'name'; did you mean 'names'\?"):
        read_npz(archive, ["name"])


def test_truncation_at_any_place_is_told(archive):
    content = archive.read_bytes()
    for size in (0, 10, len(content) // 2, len(content) - 1):
        archive.write_bytes(content[:size])
        with pytest.raises(InputError, match=r"mine\.npz.*truncated"):
            read_npz(archive, ["x"])


def test_flipped_bytes_are_told(archive):
    content = bytearray(archive.read_bytes())
    place = content.find(np.float64(5).tobytes())
    content[place] ^= 1
    archive.write_bytes(content)
    with pytest.raises(InputError, match=r"cannot be read.*CRC"):
        read_npz(archive, ["x"])


def test_pickled_objects_are_refused(tmp_path):
    np.savez(tmp_path / "o.npz", x=np.array([{}, 1], dtype=object))
    with pytest.raises(InputError, match="cannot be read"):
        read_npz(tmp_path / "o.npz", ["x"])


def test_missing_files_name_the_mend(archive):
    assert existing(str(archive), "data.path") == archive
    with pytest.raises(InputError, match=r"data\.path is not set"):
        existing(None, "data.path")
    with pytest.raises(InputError, match=r"did you mean 'mine\.npz'\?"):
        existing(str(archive.parent / "mime.npz"), "data.path")
    with pytest.raises(InputError, match="check the name"):
        existing(str(archive.parent / "quite_other"), "data.path")
    with pytest.raises(InputError, match=r"the folder .* does not exist"):
        existing(str(archive.parent / "no" / "mine.npz"), "data.path")
