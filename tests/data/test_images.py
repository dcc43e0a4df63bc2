"""Images: rows that belong together, subsets, and a standardisation that knows the pool alone."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from mtbkd.data.images import ImagesConfig, load
from mtbkd.errors import InputError

SHARED = os.environ.get("MTBKD_DATA")
needs_shared = pytest.mark.skipif(SHARED is None, reason="MTBKD_DATA is not set")


def colour_file(path, **changes):
    """40 train and 10 test images of 4 x 5 pixels in 3 channels, 2 classes."""
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(0, 256, (40, 4, 5, 3)).astype(np.uint8),
        "y_train": np.arange(40) % 2,
        "x_test": rng.integers(0, 256, (10, 4, 5, 3)).astype(np.uint8),
        "y_test": np.arange(10) % 2,
    }
    arrays = {name: array for name, array in (arrays | changes).items() if array is not None}
    np.savez(path, **arrays)
    return arrays


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "mine.npz")


def test_rows_labels_and_channels_belong_together(path):
    file = colour_file(path, class_names=np.array(["cat", "dog"]))
    data = load(ImagesConfig(path, validation_fraction=0.25, labelled_fraction=0.5), seed=0)
    assert [len(rows) for rows in data.splits.values()] == [30, 10, 10]
    assert (data.class_names, data.kind, data.name) == (("cat", "dog"), "image", "mine")
    assert data.input_shape == (3, 4, 5)
    pixels = np.concatenate([file["x_train"], file["x_test"]])
    labels = np.concatenate([file["y_train"], file["y_test"]])
    mean = pixels[data.pool.index].reshape(-1, 3).mean(0)
    deviation = pixels[data.pool.index].reshape(-1, 3).std(0)
    for rows in data.splits.values():
        expected = ((pixels[rows.index] - mean) / deviation).transpose(0, 3, 1, 2)
        np.testing.assert_allclose(rows.x, expected, atol=1e-5)
        assert np.array_equal(rows.raw, pixels[rows.index])
    assert np.array_equal(data.teacher_y, labels[data.pool.index])
    assert np.array_equal(data.test.y, labels[data.test.index])
    assert data.test.index.tolist() == list(range(40, 50))
    assert torch.bincount(data.pool.y[data.pool.y >= 0]).tolist() in ([7, 8], [8, 7])


def test_held_out_images_do_not_reach_the_pool(path):
    file = colour_file(path)
    data = load(ImagesConfig(path), seed=0)
    changed = file["x_train"].copy()
    changed[data.validation.index] = 255
    colour_file(path, x_train=changed, x_test=255 - file["x_test"])
    again = load(ImagesConfig(path), seed=0)
    assert torch.equal(again.pool.x, data.pool.x)
    assert not torch.equal(again.validation.x, data.validation.x)
    assert not torch.equal(again.test.x, data.test.x)


def test_subsets_are_stratified_and_keep_their_row_numbers(path, tmp_path):
    colour_file(path)
    other = str(tmp_path / "other.npz")
    ood = colour_file(other, x_train=None, y_train=None, y_test=None)["x_test"]
    config = ImagesConfig(path, other, train_size=20, test_size=4, validation_fraction=0.2)
    data = load(config, seed=1)
    assert [len(rows) for rows in data.splits.values()] == [16, 4, 4, 4]
    assert torch.bincount(data.pool.y).tolist() == [8, 8]
    assert torch.bincount(data.test.y).tolist() == [2, 2]
    assert np.array_equal(data.ood.raw, ood[data.ood.index - 50])
    assert (data.ood.y == -1).all()
    assert load(config, 2).pool.index.tolist() != data.pool.index.tolist()


@pytest.mark.filterwarnings("ignore:.*no labelled example:UserWarning")
def test_without_test_images_there_is_no_test_split(path):
    colour_file(path, x_test=None, y_test=None, y_train=np.r_[-1, np.ones(39, int)])
    data = load(ImagesConfig(path), seed=0)
    assert set(data.splits) == {"pool", "validation"}
    assert data.pool.y[data.pool.index == 0].tolist() == [-1]
    assert data.class_names == ("0", "1")


@pytest.mark.filterwarnings("ignore:.*no labelled example:UserWarning")
def test_a_single_image_and_a_constant_channel_are_finite(path):
    colour_file(path, x_train=np.full((1, 4, 5, 3), 7, np.uint8), y_train=np.array([1]))
    data = load(ImagesConfig(path, labelled_fraction=1.0), seed=0)
    assert data.pool.x.tolist() == torch.zeros(1, 3, 4, 5).tolist()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"y_train": np.full(40, 2), "class_names": np.array(["a", "b"])},
            r"label 2 at row 0 is outside 0\.\.1",
        ),
        ({"x_test": np.zeros((10, 4, 4, 3), np.uint8)}, r"x_test: images of shape \(4, 4, 3\)"),
        ({"y_test": None}, r"test row '40' has no label"),
        ({"y_train": np.zeros(40, int), "y_test": np.zeros(10, int)}, "at least 2"),
        ({"x_train": np.zeros((0, 4, 5, 3), np.uint8), "y_train": np.zeros(0, int)}, "pool is empty"),
    ],
)
def test_bad_files_are_told(path, changes, message):
    colour_file(path, **changes)
    with pytest.raises(InputError, match=message):
        load(ImagesConfig(path), seed=0)


def test_bad_settings_are_told(path, tmp_path):
    colour_file(path)
    with pytest.raises(InputError, match="train_size is 41, but there are 40 rows"):
        load(ImagesConfig(path, train_size=41), seed=0)
    with pytest.raises(InputError, match=r"data\.ood_path: no file"):
        load(ImagesConfig(path, ood_path=str(tmp_path / "none.npz")), seed=0)
    grey = str(tmp_path / "grey.npz")
    np.savez(grey, x_test=np.zeros((3, 4, 5), np.uint8))
    with pytest.raises(InputError, match=r"data\.ood_path: images of shape \(4, 5\), .* \(4, 5, 3\)"):
        load(ImagesConfig(path, ood_path=grey), seed=0)
    with pytest.raises(InputError, match="test_size is 0"):
        ImagesConfig(test_size=0)


@needs_shared
def test_fashion_mnist_with_mnist_out_of_distribution():
    path, ood_path = (str(Path(SHARED) / name) for name in ("fashion_mnist.npz", "mnist.npz"))
    data = load(ImagesConfig(path, ood_path, train_size=1000, test_size=500), seed=0)
    assert [len(rows) for rows in data.splits.values()] == [900, 100, 500, 500]
    assert data.class_names[9] == "Ankle boot"
    assert data.input_shape == (1, 28, 28)
    # 59,580 and 9,840 images, so the first MNIST test image is row 69,420
    assert (data.ood.index.min() >= 69420, data.ood.index.max() < 79420) == (True, True)
    # Fashion-MNIST's published training mean and deviation, .2860 and .3530 of 255, up to the subset's error
    zero = data.pool.x.min().item()
    one = data.pool.x.max().item()
    assert -zero / (one - zero) == pytest.approx(0.286, abs=0.01)
    assert 1 / (one - zero) == pytest.approx(0.353, abs=0.01)


@needs_shared
def test_cifar_is_read_channels_first():
    path, ood_path = (str(Path(SHARED) / name) for name in ("cifar10_subset.npz", "cifar100_ood.npz"))
    data = load(ImagesConfig(path, ood_path, train_size=200, test_size=50), seed=0)
    assert data.input_shape == (3, 32, 32)
    assert torch.bincount(data.test.y).tolist() == [5] * 10
    assert data.pool.x.mean((0, 2, 3)).abs().max() < 1e-4
