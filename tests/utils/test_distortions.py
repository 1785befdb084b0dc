import pytest
import torch

from utils.representations.distortions import distort


@pytest.fixture
def pixels():
    return torch.rand(6, 3, 28, 20, generator=torch.Generator().manual_seed(0))


def test_no_strength_leaves_the_images_as_they_are(pixels):
    same = distort(pixels, torch.Generator().manual_seed(1), strength=0)
    torch.testing.assert_close(same, pixels, atol=1e-4, rtol=0)


def test_the_generator_decides(pixels):
    first, again, other = (distort(pixels, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_images_keep_their_shape_and_range_and_move_a_little(pixels):
    moved = distort(pixels, torch.Generator().manual_seed(1))
    assert moved.shape == pixels.shape
    assert moved.min() >= 0 and moved.max() <= 1
    block = torch.zeros(50, 1, 28, 28)
    block[:, :, 10:18, 10:18] = 1
    ink = distort(block, torch.Generator().manual_seed(1)).sum((1, 2, 3))
    # ±15 % in both directions, and what bending adds; nothing vanishes or fills the image.
    assert 30 < ink.min() < 64 < ink.max() < 120
