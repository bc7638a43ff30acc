import numpy as np

from attend.inspect.glimpses import deviation_over_images


def test_a_path_that_ignores_the_image_has_no_deviation():
    path = np.random.default_rng(0).uniform(-1, 1, (1, 4, 2))
    np.testing.assert_allclose(deviation_over_images(np.repeat(path, 10, axis=0)), 0, atol=1e-12)
    moved = np.array([[[0.0, 0.0], [-1.0, 0.0]], [[0.0, 0.0], [1.0, 0.0]]])
    np.testing.assert_allclose(deviation_over_images(moved), [0, 1])
