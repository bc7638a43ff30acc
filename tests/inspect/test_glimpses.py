import numpy as np
import pytest

from attend.inspect.glimpses import class_entropy, share_on_object, spread_over_images


def test_a_path_that_ignores_the_image_has_no_spread():
    path = np.random.default_rng(0).uniform(-1, 1, (1, 4, 2))
    np.testing.assert_allclose(spread_over_images(np.repeat(path, 10, axis=0)), 0, atol=1e-12)
    moved = np.array([[[0.0, 0.0], [-1.0, 0.0]], [[0.0, 0.0], [1.0, 0.0]]])
    np.testing.assert_allclose(spread_over_images(moved), [0, 1])


def test_places_on_the_object_are_counted():
    places = np.array([[[0.0, 0.0], [0.9, 0.9]], [[0.5, -0.5], [0.4, -0.6]]])
    boxes = np.array([[-0.1, -0.1, 0.1, 0.1], [0.4, -0.6, 0.6, -0.4]])
    np.testing.assert_allclose(share_on_object(places, boxes), [1.0, 0.5])


def test_entropy_is_that_of_the_answers():
    sure, even = [1.0, 0.0, 0.0, 0.0], [0.25] * 4
    np.testing.assert_allclose(class_entropy(np.array([[even, sure], [even, even]])), [np.log(4), np.log(4) / 2])
    assert class_entropy(np.array([[sure]]))[0] == pytest.approx(0)
