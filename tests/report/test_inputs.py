import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from mtbkd.report.inputs import picture, sequence, values


def pixels(html: str) -> np.ndarray:
    data = re.search(r'src="data:image/png;base64,([^"]+)"', html).group(1)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (3, 5, 7), (1, 5, 7)])
def test_bytes_are_shown_as_they_are(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    expected = image
    if shape[0] in (1, 3):
        expected = np.moveaxis(image, 0, 2)
    np.testing.assert_array_equal(pixels(picture(image, "x")), expected.squeeze())


def test_other_ranges_are_stretched():
    assert pixels(picture(np.array([[-1.0, 0.0], [0.5, 1.0]]), "x")).tolist() == [[0, 128], [191, 255]]
    assert pixels(picture(np.full((2, 2), 3.0), "x")).max() == 0


def test_labels_are_escaped():
    assert 'alt="&lt;b&gt;"' in picture(np.zeros((2, 2)), "<b>")


def test_vectors_show_names_values_and_how_many_more():
    html = values(np.arange(12) / 3, tuple(f"f<{i}>" for i in range(12)))
    assert "<dt>f&lt;1&gt;</dt><dd>0.3333</dd>" in html
    assert html.count("<dt>") == 8
    assert "and 4 more" in html
    assert "more" not in values(np.arange(3), None)
    assert "<dt>x2</dt><dd>2</dd>" in values(np.arange(3), None)


def test_vectors_of_words():
    assert "<dd>blue</dd>" in values(np.array(["blue", 1.5], dtype=object), None)


def test_sequences_show_length_and_beginning():
    html = sequence("MKV" * 100)
    assert "length 300" in html
    assert ("MKV" * 16) + "…" in html
    assert "<code>MKV</code>" in sequence("MKV")
