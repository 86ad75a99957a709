from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from metai2i.data.images import save_photo, to_uint8
from metai2i.errors import UserError
from metai2i.paint.label_bytes import bytes_of, ids_of, map_png, one_hot, pixels_png


@pytest.mark.parametrize("classes", [2, 256])
def test_up_to_256_classes_take_a_byte_for_each_pixel(classes):
    ids = np.arange(6).reshape(2, 3) % classes
    assert bytes_of(ids, classes) == bytes(ids.ravel().tolist())
    assert np.array_equal(ids_of(bytes_of(ids, classes), (2, 3), classes), ids)


def test_more_classes_take_two_bytes_the_lower_first():
    ids = np.array([[0, 1, 299]])
    assert bytes_of(ids, 300) == b"\0\0\1\0\x2b\1"
    assert np.array_equal(ids_of(b"\0\0\1\0\x2b\1", (1, 3), 300), ids)
    with pytest.raises(UserError, match="got a map of 3 bytes, expected 6: two for each pixel of 1x3"):
        ids_of(b"\0\0\0", (1, 3), 300)
    with pytest.raises(UserError, match="row 0, column 2 has the class id 300, expected 0 to 299"):
        ids_of(b"\0\0\1\0\x2c\1", (1, 3), 300)


def test_a_map_as_translators_read_it_has_a_channel_for_each_class():
    channels = one_hot(np.array([[0, 2]]), 3)
    assert channels.tolist() == [[[1, 0]], [[0, 0]], [[0, 1]]]


def test_the_file_of_a_map_has_its_ids_as_indices_and_the_classes_colours_as_palette():
    colours = [(128, 64, 128), (244, 35, 232), (70, 70, 70)]
    image = Image.open(BytesIO(map_png(np.array([[2, 0], [1, 1]]), 3, colours)))
    assert image.mode == "P"
    assert np.asarray(image).tolist() == [[2, 0], [1, 1]]
    assert np.asarray(image.convert("RGB"))[0, 0].tolist() == [70, 70, 70]


def test_the_file_of_a_map_of_more_than_256_classes_is_grey_of_16_bits():
    image = Image.open(BytesIO(map_png(np.array([[299, 0]]), 300, ())))
    assert image.mode in ("I;16", "I")
    assert np.asarray(image).tolist() == [[299, 0]]


def test_an_image_is_the_file_that_translate_writes(tmp_path):
    photo = torch.rand(3, 9, 7) * 2 - 1
    save_photo(tmp_path / "a.png", photo)
    assert pixels_png(to_uint8(photo)) == (tmp_path / "a.png").read_bytes()
