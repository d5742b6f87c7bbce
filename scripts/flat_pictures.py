"""Pictures that are flat in places, where the elements of a max pool's window are equal: for keras_references.py and
make_keras_cases.py."""
import numpy as np


def flat_in_places(rng, things):
    """One of each kind, of 8 bits, as users have them: a thing on white, halves, a thing between bars, squares, a thing within a
    black rim, stripes. things: (3, H, W, C) of 0..255. Those without a thing have fewer units near a kink."""
    height, width, channels = things.shape[1:]
    y, x = np.mgrid[:height, :width, :1][:2]
    things = np.clip(things, 0, 255).round()
    low, high = rng.integers(0, 80, channels), rng.integers(150, 256, channels)
    radius = np.hypot(y - height / 2, x - width / 2) / min(height, width)
    side = min(height, width) // 8
    return np.stack([np.where(radius < rng.uniform(0.25, 0.4), things[0], 255), np.where(x < width * rng.uniform(0.3, 0.7), low, high),
                     np.where(abs(y - height / 2) < height * rng.uniform(0.2, 0.35), things[1], low),
                     np.where((x // side + y // side) % 2, low, high), np.where(radius < rng.uniform(0.35, 0.45), things[2], 0),
                     low + (high - low) * np.clip(y // side, 0, 7) // 7 + 0 * x])


def moved_alike(rng, picture, move):
    """Equal values of a channel move alike, by that much of them. What is flat stays flat, or each max pool would choose anew.
    picture: (H, W, C)."""
    moved = np.empty(picture.shape)
    for channel in range(picture.shape[-1]):
        values, which = np.unique(picture[..., channel], return_inverse=True)
        moved[..., channel] = (values * (1 + move * rng.standard_normal(values.shape)))[which.reshape(picture.shape[:-1])]
    return moved
