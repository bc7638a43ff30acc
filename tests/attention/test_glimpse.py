"""Glimpses against slow oracles in NumPy, and the convention of places."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from attend.attention.glimpse import (
    Aim,
    aim,
    filter_bank,
    filter_banks,
    filter_views,
    glimpse_views,
    look,
    place_log_prob,
    prepare,
    read,
    sample_place,
    write,
)
from attend.attention.trace import Named, Trace, Windows


def seeded(*shape: int) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def shares(start: float, width: float, cells: int) -> list[float]:
    """How much of [start, start + width] lies in each cell [c, c + 1]."""
    return [max(0.0, min(start + width, cell + 1) - max(start, cell)) / width for cell in range(cells)]


def crop(image: np.ndarray, x: float, y: float, size: int, scale: int) -> np.ndarray:
    """One patch: each cell's mean of the image over its area."""
    rows, columns = image.shape
    width = 2**scale
    left, top = (x + 1) / 2 * columns - size * width / 2, (y + 1) / 2 * rows - size * width / 2
    patch = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            down, across = shares(top + i * width, width, rows), shares(left + j * width, width, columns)
            patch[i, j] = sum(
                down[row] * across[column] * image[row, column] for row in range(rows) for column in range(columns)
            )
    return patch


@pytest.mark.parametrize(("rows", "columns"), [(7, 7), (6, 9)])
@pytest.mark.parametrize("size", [3, 4])
def test_patches_are_means_over_areas(rows: int, columns: int, size: int):
    images = seeded(2, 2, rows, columns)
    where = 3 * seeded(2, 3, 2) - 1.5
    patches = look(prepare(images, 3), where, size)
    assert patches.shape == (2, 3, 3, 2, size, size)
    for index in np.ndindex(2, 3, 3, 2):
        example, copy, scale, channel = index
        x, y = where[example, copy].tolist()
        expected = crop(images[example, channel].numpy(), x, y, size, scale)
        np.testing.assert_allclose(patches[index].numpy(), expected, atol=1e-12)


def test_the_corners_of_the_image_are_the_corners_of_the_coordinates():
    image = torch.arange(1.0, 13).reshape(1, 1, 3, 4)
    corners = torch.tensor([[[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [0.0, 0.0]]])
    patches = look(prepare(image, 1), corners, 2)[0, :, 0, 0]
    expected = torch.tensor(
        [[[0, 0], [0, 1]], [[0, 0], [4, 0]], [[0, 9], [0, 0]], [[12, 0], [0, 0]], [[4, 5], [8, 9]]], dtype=torch.float
    )
    # In the middle of three rows a patch of two lies half on each of its neighbours.
    torch.testing.assert_close(patches, expected)


def test_the_first_number_is_the_column():
    image = torch.zeros(1, 1, 5, 9)
    image[0, 0, 1, 7] = 1
    where = torch.tensor([[[(2 * 7 + 1) / 9 - 1, (2 * 1 + 1) / 5 - 1]]])
    torch.testing.assert_close(look(prepare(image, 1), where, 1).flatten(), torch.ones(1))


@pytest.mark.parametrize("size", [8, 5])
def test_a_patch_as_large_as_the_image_is_the_image(size: int):
    images = seeded(2, 3, size, size)
    patches = look(prepare(images, 1), torch.zeros(2, 1, 2, dtype=torch.float64), size)
    torch.testing.assert_close(patches[:, 0, 0], images)


def test_far_outside_there_is_nothing():
    images = seeded(1, 1, 6, 6) + 1
    where = torch.tensor([[[9.0, 0.0], [0.0, -9.0], [1e6, 1e6]]], dtype=torch.float64)
    assert (look(prepare(images, 3), where, 4) == 0).all()


def test_a_wide_scale_keeps_the_whole_brightness():
    images = seeded(3, 1, 7, 7)
    patches = look(prepare(images, 3), (seeded(3, 2, 2) - 0.5) / 4, 4)
    torch.testing.assert_close(
        16 * patches[:, :, 2, 0].sum(dim=(-2, -1)), images[:, 0].sum(dim=(-2, -1), keepdim=True)[..., 0].expand(3, 2)
    )


def test_gradients_of_a_patch_are_right():
    images = seeded(2, 1, 5, 6).requires_grad_()
    where = (1.4 * seeded(2, 2, 2) - 0.7).requires_grad_()
    assert torch.autograd.gradcheck(lambda images, where: look(prepare(images, 2), where, 3), (images, where))


def test_no_scale_is_refused():
    with pytest.raises(ValueError, match="scales must be at least 1, not 0"):
        prepare(torch.zeros(1, 1, 4, 4), 0)


def test_windows_of_glimpses_cover_what_the_patches_show():
    """An image that is bright exactly inside a window is 1 all over the patch, and dark anywhere else."""
    rows, columns, size = 24, 32, 4
    where = torch.tensor([[-0.25, 0.25], [0.125, 0.0]], dtype=torch.float64)
    views = glimpse_views(where, size, 2, rows, columns)
    names = tuple(f"glimpse {step} scale {scale}" for step in (1, 2) for scale in (1, 2))
    windows = Windows(*views, Named(names))
    assert Trace("picture", "3", {"glimpse": windows}).to_json()["looks"]["glimpse"]["scale"] == [0, 1, 0, 1]
    x = (2 * np.arange(columns) + 1) / columns - 1
    y = (2 * np.arange(rows) + 1) / rows - 1
    for index in range(4):
        inside_x = np.abs(x - windows.centre[index, 0]) < windows.extent[index, 0] / 2
        inside_y = np.abs(y - windows.centre[index, 1]) < windows.extent[index, 1] / 2
        image = torch.from_numpy(np.outer(inside_y, inside_x).astype(np.float64))[None, None]
        patch = look(prepare(image, 2), where[index // 2][None, None], size)[0, 0, index % 2]
        torch.testing.assert_close(patch, torch.ones_like(patch))
        assert image.sum() == (size * 2 ** (index % 2)) ** 2


def test_a_place_has_the_score_of_the_sample_that_was_not_clamped():
    mean = torch.tensor([[0.9, -0.2], [-2.0, 0.1]], dtype=torch.float64, requires_grad=True)
    place = sample_place(mean, 0.5, torch.Generator().manual_seed(3))
    assert not place.where.requires_grad
    assert place.where.abs().max() > 1
    expected = torch.distributions.Normal(mean, 0.5).log_prob(place.where).sum(-1)
    torch.testing.assert_close(place.log_prob, expected)
    (gradient,) = torch.autograd.grad(place.log_prob.sum(), mean)
    torch.testing.assert_close(gradient, (place.where - mean.detach()) / 0.25)
    assert gradient.abs().min() > 0


def test_a_place_that_is_not_cut_from_the_graph_has_no_score():
    """The pitfall: where = mean + noise moves with the mean, so that log N(where; mean) doesn't depend on it."""
    mean = torch.tensor([0.3, -0.2], dtype=torch.float64, requires_grad=True)
    where = torch.distributions.Normal(mean, 0.5).rsample()
    (gradient,) = torch.autograd.grad(place_log_prob(where, mean, 0.5), mean)
    assert (gradient == 0).all()


def test_places_scatter_around_their_mean_and_repeat_with_the_seed():
    mean = torch.tensor([0.5, -0.5]).expand(20_000, 2)
    where = sample_place(mean, 0.2, torch.Generator().manual_seed(1)).where
    torch.testing.assert_close(where.mean(0), mean[0], atol=0.005, rtol=0)
    torch.testing.assert_close(where.std(0), torch.full((2,), 0.2), atol=0.005, rtol=0)
    torch.testing.assert_close(where, sample_place(mean, 0.2, torch.Generator().manual_seed(1)).where)


def test_places_without_noise_are_refused():
    with pytest.raises(ValueError, match=r"deviation must be above 0, not 0\.0"):
        sample_place(torch.zeros(1, 2), 0.0)


def slow_bank(centre: float, stride: float, variance: float, count: int, cells: int) -> np.ndarray:
    """The paper's equations as printed, counting from 1; `centre` counts from 1 too."""
    bank = np.zeros((count, cells))
    for i in range(1, count + 1):
        mean = centre + (i - count / 2 - 0.5) * stride
        for a in range(1, cells + 1):
            bank[i - 1, a - 1] = math.exp(-((a - mean) ** 2) / (2 * variance))
        bank[i - 1] /= bank[i - 1].sum()
    return bank


def test_filters_are_the_papers():
    rows, columns, count = 7, 9, 4
    parameters = seeded(3, 5) - 0.5
    aimed = aim(parameters, count, rows, columns)
    filters = filter_banks(aimed, count, rows, columns)
    images, patches = seeded(3, 2, rows, columns), seeded(3, 2, count, count)
    found, written = read(images, filters, aimed.intensity), write(patches, filters, aimed.intensity)
    for example, (x, y, log_variance, log_stride, log_intensity) in enumerate(parameters.tolist()):
        stride = (max(rows, columns) - 1) / (count - 1) * math.exp(log_stride)
        horizontal = slow_bank((columns + 1) / 2 * (x + 1), stride, math.exp(log_variance), count, columns)
        vertical = slow_bank((rows + 1) / 2 * (y + 1), stride, math.exp(log_variance), count, rows)
        np.testing.assert_allclose(filters.horizontal[example], horizontal, rtol=1e-9)
        np.testing.assert_allclose(filters.vertical[example], vertical, rtol=1e-9)
        for channel in range(2):
            image, patch = images[example, channel].numpy(), patches[example, channel].numpy()
            intensity = math.exp(log_intensity)
            np.testing.assert_allclose(found[example, channel], intensity * vertical @ image @ horizontal.T, rtol=1e-9)
            np.testing.assert_allclose(
                written[example, channel], vertical.T @ patch @ horizontal / intensity, rtol=1e-9
            )


def test_square_images_have_the_same_filters_as_any():
    """Square images take the path that makes both banks at once."""
    aimed = aim(seeded(3, 5), 4, 6, 6)
    filters = filter_banks(aimed, 4, 6, 6)
    torch.testing.assert_close(filters.horizontal, filter_bank(aimed.centre[:, 0], *aimed[1:3], 4, 6))
    torch.testing.assert_close(filters.vertical, filter_bank(aimed.centre[:, 1], *aimed[1:3], 4, 6))


@given(centre=st.floats(-1e6, 1e6), stride=st.floats(0, 1e5), variance=st.floats(1e-8, 1e8), cells=st.integers(1, 20))
def test_rows_sum_to_one_wherever_the_window_is(centre: float, stride: float, variance: float, cells: int):
    inputs = [torch.tensor([value], requires_grad=True) for value in (centre, stride, variance)]
    bank = filter_bank(*inputs, 5, cells)
    torch.testing.assert_close(bank.sum(-1), torch.ones(1, 5))
    assert (bank >= 0).all()
    (bank * torch.arange(cells)).sum().backward()
    for value in inputs:
        assert value.grad is not None
        assert value.grad.isfinite().all()


def test_narrow_filters_in_a_large_image_keep_their_precision():
    inputs = [torch.tensor([value], dtype=torch.float64) for value in (900.3, 1.7, 0.2)]
    exact = filter_bank(*inputs, 9, 1000)
    torch.testing.assert_close(
        filter_bank(*(value.float() for value in inputs), 9, 1000).double(), exact, atol=0.01, rtol=0
    )


def test_wild_parameters_aim_at_finite_windows():
    parameters = torch.tensor([[0.0, 0.0, 1e9, -1e9, 1e9], [1e9, -1e9, -1e9, 1e9, -1e9]])
    aimed = aim(parameters, 5, 28, 28)
    filters = filter_banks(aimed, 5, 28, 28)
    image = torch.rand(2, 1, 28, 28)
    assert all(part.isfinite().all() for part in (*aimed, *filters, read(image, filters, aimed.intensity)))


def test_a_filter_outside_looks_at_the_nearest_cell():
    far = torch.tensor([-50.0, 90.0])
    bank = filter_bank(far, torch.ones(2), torch.ones(2), 1, 5)[:, 0]
    torch.testing.assert_close(bank, torch.eye(5)[[0, 4]], atol=1e-6, rtol=0)


def test_gradients_of_filters_are_right():
    images, patches = seeded(2, 1, 5, 6).requires_grad_(), seeded(2, 1, 3, 3).requires_grad_()
    # Windows inside and outside of the image.
    parameters = (4 * seeded(2, 5) - 2).requires_grad_()

    def through(images: Tensor, patches: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        aimed = aim(parameters, 3, 5, 6)
        filters = filter_banks(aimed, 3, 5, 6)
        return read(images, filters, aimed.intensity), write(patches, filters, aimed.intensity)

    assert torch.autograd.gradcheck(through, (images, patches, parameters))


def test_filters_on_every_pixel_are_the_identity():
    size = 6
    parameters = torch.tensor([[0.0, 0.0, -10.0, 0.0, 0.0]])
    aimed = aim(parameters, size, size, size)
    torch.testing.assert_close(aimed.stride, torch.ones(1))
    filters = filter_banks(aimed, size, size, size)
    torch.testing.assert_close(filters.horizontal, torch.eye(size)[None])
    torch.testing.assert_close(filters.vertical, torch.eye(size)[None])
    image = torch.rand(1, 3, size, size)
    torch.testing.assert_close(read(image, filters, aimed.intensity), image)


def test_reading_what_was_written_gives_it_back():
    aimed = Aim(torch.tensor([[4.0, 5.0]]), torch.tensor([2.0]), torch.tensor([1e-4]), torch.tensor([3.0]))
    filters = filter_banks(aimed, 3, 12, 10)
    patch = torch.rand(1, 2, 3, 3)
    canvas = write(patch, filters, aimed.intensity)
    torch.testing.assert_close(canvas[0, :, 3:8:2, 2:7:2], patch[0] / 3)
    torch.testing.assert_close(read(canvas, filters, aimed.intensity), patch)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_grid_is_centred(count: int):
    aimed = aim(torch.zeros(1, 5), count, 9, 12)
    torch.testing.assert_close(aimed.centre, torch.tensor([[5.5, 4.0]]))
    bank = filter_bank(aimed.centre[:, 0], torch.tensor([2.0]), aimed.variance, count, 12)
    torch.testing.assert_close(bank, bank.flip(-2, -1))


def test_untouched_parameters_span_the_image():
    aimed = aim(torch.zeros(1, 5), 5, 28, 28)
    filters = filter_banks(aimed, 5, 28, 28)
    # The outermost filters sit on the outermost pixels.
    assert filters.horizontal[0, 0].argmax() == 0
    assert filters.horizontal[0, -1].argmax() == 27


def test_windows_of_filters():
    rows, columns = 10, 20
    centre = torch.tensor([[9.5, 4.5], [0.0, 9.0]])
    views = filter_views(centre, torch.tensor([1.0, 2.0]), torch.tensor([0.25, 4.0]), 5, rows, columns)
    windows = Windows(*views, Named(("read 1", "read 2")))
    np.testing.assert_allclose(windows.centre, [[0, 0], [0.05 - 1, 0.9]], atol=1e-7)
    np.testing.assert_allclose(windows.extent, [[0.5, 1.0], [1.0, 2.0]])
    np.testing.assert_allclose(windows.scale, [0.25, 4.0])
    whole = filter_views(torch.tensor([[4.5, 4.5]]), torch.ones(1), torch.ones(1), 10, 10, 10)
    np.testing.assert_allclose([whole.centre[0], whole.extent[0]], [[0, 0], [2, 2]])
