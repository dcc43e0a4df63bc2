"""idx files written by hand, and what each kind of wrong file says."""

import gzip
import struct

import numpy as np
import pytest

from mtbkd.data.image_files import read_idx, read_images
from mtbkd.errors import InputError


def idx(array):
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_folder(folder, train=6, test=4, suffix="", dash="-"):
    rng = np.random.default_rng(0)
    made = {}
    for part, name, n in (("train", "train", train), ("t10k", "test", test)):
        made[f"x_{name}"] = rng.integers(0, 256, (n, 3, 2)).astype(np.uint8)
        made[f"y_{name}"] = (np.arange(n) % 2).astype(np.uint8)
        for content, kind, array in (("images", "idx3", "x"), ("labels", "idx1", "y")):
            blob = idx(made[f"{array}_{name}"])
            path = folder / f"{part}-{content}{dash}{kind}-ubyte{suffix}"
            path.write_bytes(gzip.compress(blob) if suffix else blob)
    return made


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("dash", ["-", "."])
def test_a_folder_of_idx_files_is_read(tmp_path, suffix, dash):
    made = write_folder(tmp_path, suffix=suffix, dash=dash)
    arrays = read_images(tmp_path, ["x_train", "y_train"], ["x_test", "y_test", "class_names"])
    assert set(arrays) == set(made)
    for name, array in made.items():
        assert np.array_equal(arrays[name], array)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("keep", [0, 3, 7, 20, -1])
def test_truncated_idx_is_told(tmp_path, suffix, keep):
    write_folder(tmp_path, suffix=suffix)
    path = tmp_path / f"train-images-idx3-ubyte{suffix}"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte.*truncated"):
        read_idx(path)


def test_another_type_of_idx_is_told(tmp_path):
    (tmp_path / "floats").write_bytes(struct.pack(">4B1I", 0, 0, 13, 1, 1) + b"\0\0\0\0")
    with pytest.raises(InputError, match="not an idx file of unsigned bytes"):
        read_idx(tmp_path / "floats")


def test_a_missing_idx_file_is_named(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(InputError, match="no file 'train-labels-idx1-ubyte'"):
        read_images(tmp_path, ["x_train", "y_train"])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": np.zeros((2, 3, 3))}, r"x_train is float64 \(2, 3, 3\); give uint8"),
        ({"x_train": np.zeros((2, 9), np.uint8)}, r"x_train is uint8 \(2, 9\)"),
        ({"y_train": np.array([0.0, 1.0])}, r"y_train is float64 \(2,\); give one integer"),
        ({"y_train": np.array([0, 1, 0])}, "x_train has 2 rows, y_train 3"),
    ],
)
def test_wrong_arrays_are_told(tmp_path, arrays, message):
    good = {"x_train": np.zeros((2, 3, 3), np.uint8), "y_train": np.array([0, 1])}
    np.savez(tmp_path / "mine.npz", **(good | arrays))
    with pytest.raises(InputError, match=message):
        read_images(tmp_path / "mine.npz", ["x_train", "y_train"])
