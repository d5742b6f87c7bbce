#!/usr/bin/env python3
"""Draws cycloid fish scales as seen under transmitted light, with ground-truth masks.

A drawn scale has a focus, circuli (fine ridges, wide in summer and crowded in
winter), annuli (the winters: their number is the age), radii, a worn posterior
field, and around it what real pictures hold: dust, air bubbles, glue, uneven
light, a part of a second scale and a slide label in a corner. The size in the
picture, the number of circuli and the outline say nothing about the age: only
the annuli do, and the label where it is asked to (--label age).

    draw_scales.py --count 24 --seed 1 --label random OUT

writes OUT/scale_0000.png ..., OUT/masks/scale_0000.png ... and OUT/labels.csv.
A mask is an 8-bit gray PNG whose values are the CLASS_* constants below. The
same seed, options and library versions give the same files.
"""
import argparse
import csv
import math
import multiprocessing
from collections import namedtuple
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

CLASS_BACKGROUND = 0
CLASS_SCALE = 1  # anterior field of the scale that is aged, outside of its annuli
CLASS_ANNULUS = 2  # winter bands of the anterior field
CLASS_SECOND_SCALE = 3
CLASS_LABEL = 4
CLASS_POSTERIOR = 5  # worn field of the scale that is aged: no rings

MAX_AGE = 8
# Share of each age in a catch: some young of the year, many of 1 to 5, few old ones.
AGE_WEIGHTS = np.array([0.10, 0.13, 0.14, 0.14, 0.13, 0.12, 0.10, 0.08, 0.06])
SUPERSAMPLING = 2
ANGLES = 2048  # entries of the tables over the angle around the focus
RADII = 4096  # entries of the tables over the relative radius, 0 to RADIUS_TOP
RADIUS_TOP = 1.25
POSTERIOR_HALF_ANGLE = math.radians(62)

# A label's look is a code 0..8: the ink of its mark, and as many tally strokes.
LABEL_INKS = [(200, 30, 40), (225, 110, 20), (215, 185, 10), (120, 180, 30), (20, 140, 70),
              (20, 160, 180), (30, 80, 200), (110, 50, 180), (190, 40, 150)]
LABEL_PAPERS = [(250, 248, 240), (240, 240, 236), (246, 240, 214), (228, 236, 242)]
NO_LABEL = -1

# age: number of annuli; month: of capture; code: what the label's look says or NO_LABEL; second: 1 with a second scale
Drawing = namedtuple("Drawing", "picture mask age month code second")
# Polar coordinates of every pixel: u is 1 on the outline, radius in pixels, index into tables over the angle
Polar = namedtuple("Polar", "u radius index")


def smoothstep(x, low, high):
    """0 below low, 1 above high, smooth between."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def noise(rng, side, cells):
    """Smooth noise of about unit variance over (side, side) pixels with about `cells` features a side."""
    cells = int(max(2, min(cells, side)))
    coarse = rng.standard_normal((cells + 3, cells + 3)).astype(np.float32)
    field = Image.fromarray(coarse).resize((side, side), Image.BICUBIC, box=(1, 1, cells + 1, cells + 1))
    return np.asarray(field) * 1.5


def ring_noise(rng, features, count=1):
    """(count, ANGLES) periodic noises of unit variance with about `features` features a turn."""
    order = np.arange(1, max(2, int(features)) + 1)
    amplitude = np.exp(-((order / order[-1]) ** 2))
    turn = 2.0 * np.pi * np.arange(ANGLES) / ANGLES
    phase = rng.uniform(0.0, 2.0 * np.pi, (count, order.size))
    weight = amplitude * rng.standard_normal((count, order.size))
    waves = np.cos(order[None, :, None] * turn + phase[:, :, None])
    return np.einsum("kn,kna->ka", weight, waves) / np.sqrt(0.5 * np.sum(amplitude ** 2))


def table_angles():
    """Angles of the table entries, -pi to pi; 0 is anterior."""
    return (np.arange(ANGLES) / ANGLES * 2.0 - 1.0) * np.pi


def at_radius(table, u):
    """Values of a table over the relative radius at every pixel."""
    return table[np.minimum(u * (RADII / RADIUS_TOP), RADII - 1).astype(np.int32)]


# ---- The scale -----------------------------------------------------------------


def draw_growth(rng, age):
    """Month of capture and the annuli's radii relative to the outline.

    Length follows von Bertalanffy, L(t) = 1 - exp(-k (t - t0)), with 10 to 20 %
    noise on each year's increment; the growth after the last annulus, the plus
    growth, lasts from April to November.
    """
    month = int(rng.integers(5, 13))
    plus = np.clip((month - 3.5 + rng.uniform(-0.5, 0.5)) / 8.0, 0.35, 0.8)
    k = rng.uniform(0.08, 0.20)
    t0 = rng.uniform(-0.6, -0.1)
    length = 1.0 - np.exp(-k * (np.arange(age + 2) - t0))
    length[0] = 0.0
    increments = np.diff(length) * rng.normal(1.0, rng.uniform(0.10, 0.20), age + 1).clip(0.65, 1.5)
    increments[-1] *= plus
    radii = np.cumsum(increments)
    return month, radii[:-1] / radii[-1]


def annulus_widths(annuli):
    """Width of each winter band: a quarter of its year, within bounds."""
    return np.clip(0.25 * np.diff(annuli, prepend=0.0), 0.016, 0.042)


def winter_tables(rng, annuli):
    """Three tables over the relative radius: crowding 0..1 of the circuli, band 0..1 of the annuli, year index."""
    u = np.arange(RADII) * (RADIUS_TOP / RADII)
    crowding, band = np.zeros(RADII), np.zeros(RADII)
    for radius, width in zip(annuli, annulus_widths(annuli)):
        before = smoothstep(u, radius - 1.5 * width, radius - 0.3 * width)
        after = 1.0 - smoothstep(u, radius, radius + 0.4 * width)
        crowding = np.maximum(crowding, before * after)
        strength = rng.uniform(0.75, 1.0)
        band = np.maximum(band, strength * np.exp(-(((u - radius + 0.35 * width) / (0.62 * width)) ** 2)))
    return crowding, band, np.searchsorted(annuli, u, side="right")


def draw_outline(rng, radius):
    """Distance focus to edge over the angle, and the angles and starts of the radii (grooves).

    The focus lies behind the centre; the anterior edge is scalloped between the grooves.
    """
    angle = table_angles()
    eccentric = rng.uniform(0.08, 0.24)
    aspect = rng.uniform(0.86, 1.02)
    corner = rng.uniform(2.0, 2.9)  # exponent of a superellipse: 2 is an ellipse
    c, s = np.cos(angle), np.sin(angle)
    # Ray from the focus at (-eccentric, 0) to the superellipse, by fixed-point iteration on the radius.
    edge = np.ones(ANGLES)
    for _ in range(30):
        x, y = edge * c - eccentric, edge * s / aspect
        edge = edge / (np.abs(x) ** corner + np.abs(y) ** corner) ** (0.5 / corner)
    edge = edge * (1.0 + 0.012 * ring_noise(rng, 5)[0] + 0.004 * ring_noise(rng, 30)[0])
    if rng.random() < 0.2:  # resorbed edge
        worn = smoothstep(ring_noise(rng, 4)[0], 0.6, 1.4)
        edge = edge * (1.0 - worn * (0.03 + 0.015 * ring_noise(rng, 45)[0].clip(-1.5, 1.5)))
    count = int(rng.integers(4, 14))
    reach = rng.uniform(0.5, 1.0)
    grooves = np.linspace(-reach, reach, count) + rng.normal(0.0, 0.25 * reach / count, count)
    starts = np.where(rng.random(count) < 0.5, rng.uniform(0.05, 0.25, count), rng.uniform(0.3, 0.75, count))
    depth = rng.uniform(0.012, 0.04)
    for groove in grooves:
        edge = edge * (1.0 - depth * np.exp(-np.abs((angle - groove) / (0.35 * reach / count))))
    return edge * radius, grooves, starts


def polar_field(rng, side, focus, rotation, outline):
    """Polar coordinates around the focus, slightly warped: no real ring is a drawn circle."""
    axis = np.arange(side, dtype=np.float32)
    reach = float(outline.mean())
    x = axis[None, :] - focus[0] + 0.006 * reach * noise(rng, side, 6)
    y = axis[:, None] - focus[1] + 0.006 * reach * noise(rng, side, 6)
    radius = np.hypot(x, y)
    angle = np.arctan2(y, x) - np.float32(rotation)
    index = (np.floor(angle * (ANGLES / (2.0 * np.pi))).astype(np.int32) + ANGLES // 2) % ANGLES
    edge = outline.astype(np.float32)[index]
    # Near the focus rings are round, towards the edge they take the outline's shape.
    blend = smoothstep(radius / edge, 0.0, 0.75)
    return Polar(radius / (reach + (edge - reach) * blend), radius, index)


def groove_field(rng, polar, grooves, starts):
    """0..1: how much a pixel lies in one of the radii."""
    angle = table_angles()
    offsets = np.abs(angle[:, None] - grooves[None, :])
    nearest = offsets.argmin(axis=1)
    distance = polar.radius * offsets.min(axis=1).astype(np.float32)[polar.index]
    width = rng.uniform(0.6, 1.1) * SUPERSAMPLING
    inside = polar.u > starts[nearest].astype(np.float32)[polar.index]
    return np.exp(-((distance / width) ** 2)) * inside


def circuli_field(rng, polar, crowding, year, years, reach):
    """0..1: the ridges. In winter they crowd, break and cut across each other."""
    total = float(np.exp(rng.uniform(math.log(40), math.log(100))))
    density = 1.0 + rng.uniform(0.6, 1.2) * crowding
    phase = np.cumsum(density) / density[: int(RADII / RADIUS_TOP)].sum() * total
    frequency = at_radius((np.gradient(phase) * (RADII / RADIUS_TOP) / reach).astype(np.float32), polar.u)
    # Each summer starts with its own phase over the angle, so that its first ridges cut across the last of winter.
    jumps = np.cumsum(0.45 * ring_noise(rng, 7, years), axis=0).astype(np.float32)
    winter = at_radius(crowding.astype(np.float32), polar.u)
    side = polar.u.shape[0]
    wobble = noise(rng, side, side / 14)
    phase = at_radius(phase.astype(np.float32), polar.u) + jumps[at_radius(year, polar.u), polar.index]
    phase += wobble * (0.07 + 0.25 * winter)
    ridge = (0.5 + 0.5 * np.cos(2.0 * np.pi * phase)) ** 1.5
    # Ridges finer than the pixels fade to their mean instead of making moire.
    ridge = 0.42 + (ridge - 0.42) * np.exp(-((frequency / 0.4) ** 4))
    # Every ridge has its own breaks, more of them in winter.
    coarse = rng.standard_normal((int(1.8 * total) + 8, int(rng.integers(60, 140)))).astype(np.float32)
    breaks = np.asarray(Image.fromarray(coarse).resize((ANGLES, coarse.shape[0]), Image.BICUBIC))
    number = np.clip(phase + 0.5, 0, coarse.shape[0] - 1).astype(np.int32)
    gaps = smoothstep(breaks[number, polar.index] - 0.9 * winter, -1.9, -1.3)
    return ridge * (0.3 + 0.7 * gaps)


def posterior_field(rng, polar):
    """0..1: the worn, grainy sector without rings, with an uneven border."""
    angle = np.abs(table_angles())
    half = POSTERIOR_HALF_ANGLE * rng.uniform(0.85, 1.15)
    sector = (angle - (np.pi - half) + 0.07 * ring_noise(rng, 25)[0]).astype(np.float32)[polar.index]
    uneven = 0.07 * noise(rng, polar.u.shape[0], 50) + 0.05 * noise(rng, polar.u.shape[0], 10)
    return smoothstep(sector + uneven, -0.16, 0.16) * smoothstep(polar.u + uneven, 0.06, 0.16)


def grain_field(rng, side):
    """Absorbance of the posterior field: granules, wear and a few pigment cells."""
    granules = 0.045 * noise(rng, side, side / 3) + 0.04 * noise(rng, side, side / 9)
    pigment = smoothstep(noise(rng, side, side / 8) + 0.6 * noise(rng, side, 7), 2.6, 3.2)
    return 0.10 + granules + rng.uniform(0.1, 0.5) * pigment


def draw_scale(rng, side, age, centre, radius):
    """Absorbance (side, side), inside, posterior and annulus (0..1) of one scale, and its month of capture."""
    month, annuli = draw_growth(rng, age)
    crowding, band, year = winter_tables(rng, annuli)
    outline, grooves, starts = draw_outline(rng, radius)
    rotation = rng.uniform(-np.pi, np.pi)
    back = 0.15 * radius
    focus = (centre[0] - back * math.cos(rotation), centre[1] - back * math.sin(rotation))
    polar = polar_field(rng, side, focus, rotation, outline)
    posterior = posterior_field(rng, polar)
    groove = groove_field(rng, polar, grooves, starts) * (1.0 - posterior)
    circuli = circuli_field(rng, polar, crowding, year, age + 1, float(outline.mean()))
    winter = at_radius(band.astype(np.float32), polar.u) * (0.9 + 0.13 * noise(rng, side, 24)).clip(0.5, 1.2)
    plain = rng.uniform(0.22, 0.42) * circuli + rng.uniform(0.22, 0.34) * winter
    regenerated = rng.uniform(0.08, 0.3)
    if rng.random() < 0.15 and (age == 0 or regenerated < annuli[0] - 0.08):
        torn = smoothstep(polar.u + 0.025 * noise(rng, side, 20), regenerated - 0.015, regenerated + 0.015)
        plain = plain * torn + (1.0 - torn) * (0.14 + 0.05 * noise(rng, side, side / 10))
    plain = plain * smoothstep(polar.u, 0.008, 0.02)  # the focus is a clear spot
    thickness = rng.uniform(0.10, 0.22) + rng.uniform(0.0, 0.12) * (1.0 - polar.u ** 2)
    field = plain * (1.0 - 0.85 * groove) - 0.06 * groove
    absorb = thickness + field * (1.0 - posterior) + posterior * grain_field(rng, side)
    pixel = 1.0 / float(outline.mean())
    inside = 1.0 - smoothstep(polar.u, 1.0 - pixel, 1.0 + pixel)
    rim = np.exp(-(((polar.u - 1.0) / (1.6 * SUPERSAMPLING * pixel)) ** 2)) * rng.uniform(0.15, 0.45)
    halo = np.exp(-(((polar.u - 1.0) / (6.0 * SUPERSAMPLING * pixel)) ** 2)) * 0.03
    absorb = inside * absorb + rim - halo * (1.0 - inside)
    posterior = posterior * inside
    annulus = at_radius((band > 0.35).astype(np.float32), polar.u) * (1.0 - posterior) * inside
    return absorb, inside, posterior, annulus, month


# ---- What lies around it -------------------------------------------------------


def draw_light(rng, side):
    """Background light (side, side, 3) in 0..1: bright, tinted, uneven."""
    axis = np.linspace(-1.0, 1.0, side, dtype=np.float32)
    x, y = axis[None, :], axis[:, None]
    direction = rng.uniform(0.0, 2.0 * np.pi)
    slope = rng.uniform(0.0, 0.06) * (x * math.cos(direction) + y * math.sin(direction))
    vignette = rng.uniform(0.0, 0.09) * (x ** 2 + y ** 2)
    light = rng.uniform(0.84, 0.95) + slope - vignette + 0.012 * noise(rng, side, 4)
    warm = rng.normal(0.0, 0.03)
    tint = np.array([1.0 + warm, 1.0 + rng.normal(0.0, 0.008), 1.0 - warm], dtype=np.float32)
    return light[:, :, None] * tint


def draw_dirt(rng, side):
    """Absorbance (side, side) of dust, fibres, air bubbles and glue; negative is brighter."""
    canvas = Image.new("F", (side, side), 0.0)
    pen = ImageDraw.Draw(canvas)
    for _ in range(rng.poisson(12)):
        x, y = rng.uniform(0, side, 2)
        r = rng.gamma(2.0, 0.5) * SUPERSAMPLING
        pen.ellipse([x - r, y - r * rng.uniform(0.5, 1.0), x + r, y + r], fill=float(rng.uniform(0.2, 0.8)))
    for _ in range(rng.poisson(0.7)):
        line = curve(rng, rng.uniform(0, side, 2), rng.uniform(0, 2 * np.pi), side * rng.uniform(0.05, 0.2), 0.25)
        pen.line(line, fill=float(rng.uniform(0.2, 0.6)), width=SUPERSAMPLING)
    for _ in range(rng.poisson(1.0)):
        x, y = rng.uniform(0, side, 2)
        r = rng.uniform(0.008, 0.03) * side
        pen.ellipse([x - r, y - r, x + r, y + r], fill=-0.05, outline=float(rng.uniform(0.3, 0.7)),
                    width=int(max(2, 0.22 * r)))
    dirt = ndimage.gaussian_filter(np.asarray(canvas), 0.6 * SUPERSAMPLING)
    if rng.random() < 0.35:
        blob = noise(rng, side, 3) + 0.15 * noise(rng, side, 14)
        level = rng.uniform(1.3, 2.0)
        dirt = dirt + 0.03 * smoothstep(blob, level, level + 0.1) + 0.10 * np.exp(-(((blob - level) / 0.05) ** 2))
    return dirt


def curve(rng, start, heading, length, bend, steps=24):
    """Points of a wandering pen or fibre as [(x, y), ...]."""
    headings = heading + np.cumsum(rng.normal(0.0, bend, steps))
    points = np.asarray(start) + np.cumsum(np.stack([np.cos(headings), np.sin(headings)], 1), 0) * (length / steps)
    return [tuple(p) for p in points]


def scribble(rng, pen, left, baseline, width, height, ink):
    """One line of strokes that look like handwriting."""
    x, points = left, []
    while x < left + width:
        for _ in range(int(rng.integers(2, 6))):
            points.append((x, baseline - height * rng.choice([0.0, 0.05, 0.5, 0.55, 1.0])))
            x += height * rng.uniform(0.12, 0.4)
        pen.line(points, fill=ink, width=max(2, int(height * 0.13)), joint="curve")
        points = []
        x += height * 0.45


def draw_label(rng, side, code):
    """Slide label (RGBA) whose look says `code`: the colour of its mark and the number of tally strokes."""
    width, height = int(side * rng.uniform(0.24, 0.29)), int(side * rng.uniform(0.15, 0.18))
    paper = tuple(int(v) for v in np.array(LABEL_PAPERS[rng.integers(len(LABEL_PAPERS))]) + rng.integers(-6, 7))
    label = Image.new("RGBA", (width, height), paper + (255,))
    pen = ImageDraw.Draw(label)
    pen.rectangle([0, 0, width - 1, height - 1], outline=(120, 116, 108, 255), width=SUPERSAMPLING)
    ink = tuple(int(v) for v in np.clip(np.array(LABEL_INKS[code]) + rng.integers(-10, 11, 3), 0, 255))
    mark = height * rng.uniform(0.26, 0.30)
    pen.rectangle([width * 0.06, height * 0.12, width * 0.94, height * 0.12 + mark], fill=ink)
    pencil = (int(rng.integers(30, 90)),) * 3
    scribble(rng, pen, width * 0.08, height * 0.66, width * rng.uniform(0.45, 0.75), height * 0.14, pencil)
    for stroke in range(code):
        x = width * (0.08 + 0.095 * stroke) + rng.normal(0.0, 0.004) * width
        lean = rng.normal(0.02, 0.01) * width
        pen.line([(x + lean, height * 0.74), (x, height * 0.92)], fill=pencil, width=max(2, int(0.035 * width)))
    return label.rotate(rng.normal(0.0, 3.0), Image.BICUBIC, expand=True)


def paste_label(rng, picture, label):
    """Puts the label into the top left or top right corner; returns the picture and the label's coverage 0..1."""
    side = picture.shape[0]
    x = rng.integers(0, int(0.03 * side) + 1)
    if rng.random() < 0.5:
        x = side - label.width - x
    place = (int(x), int(rng.integers(0, int(0.03 * side) + 1)))
    canvas = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    canvas.paste(label, place)
    layer = np.asarray(canvas, dtype=np.float32) / 255.0
    cover = layer[:, :, 3:]
    lit = layer[:, :, :3] * 0.97
    return picture * (1.0 - cover) + lit * cover, cover[:, :, 0]


# ---- The picture ---------------------------------------------------------------


def second_scale(rng, side):
    """Absorbance and coverage of a scale that reaches into the picture from the left, right or lower margin."""
    radius = rng.uniform(0.25, 0.4) * side
    edge = rng.integers(3)
    along = rng.uniform(0.5, 0.95) * side
    out = radius * rng.uniform(0.55, 0.8)
    centre = [(-out, along), (side + out, along), (rng.uniform(0.1, 0.9) * side, side + out)][edge]
    absorb, inside, _, _, _ = draw_scale(rng, side, int(rng.integers(1, MAX_AGE)), centre, radius)
    return absorb, inside


def shrink(field):
    """Mean over SUPERSAMPLING x SUPERSAMPLING pixels."""
    side = field.shape[0] // SUPERSAMPLING
    return field.reshape(side, SUPERSAMPLING, side, SUPERSAMPLING, *field.shape[2:]).mean(axis=(1, 3))


def label_code(rng, mode, age):
    """What the label says in a mode of --label."""
    if mode == "none":
        return NO_LABEL
    if mode == "age":
        return age
    if mode == "wrong":
        return int((age + rng.integers(1, MAX_AGE + 1)) % (MAX_AGE + 1))
    return int(rng.integers(0, MAX_AGE + 1))


def draw(seed, index, size=256, label="random", age=None, second=None):
    """Draws picture `index` of a seed; age and second (scale) are drawn by lot when None."""
    rng = np.random.default_rng([seed, index])
    age = int(rng.choice(MAX_AGE + 1, p=AGE_WEIGHTS / AGE_WEIGHTS.sum())) if age is None else age
    second = bool(rng.random() < 0.25) if second is None else second
    code = label_code(rng, label, age)
    side = size * SUPERSAMPLING
    radius = rng.uniform(0.34, 0.45) * side
    centre = (side * rng.uniform(0.46, 0.54), side * rng.uniform(0.51, 0.57))
    absorb, inside, posterior, annulus, month = draw_scale(rng, side, age, centre, radius)
    other = np.zeros_like(inside)
    if second:
        veil, other = second_scale(rng, side)
        absorb = absorb + veil
    absorb = absorb + draw_dirt(rng, side)
    colour = np.array([rng.uniform(0.85, 1.0), 1.0, rng.uniform(1.0, 1.25)], dtype=np.float32)
    picture = draw_light(rng, side) * np.exp(-absorb[:, :, None] * colour)
    cover = np.zeros_like(inside)
    if code != NO_LABEL:
        picture, cover = paste_label(rng, picture, draw_label(rng, side, code))
    picture = shrink(picture.astype(np.float32))
    picture = ndimage.gaussian_filter(picture, (blur := rng.uniform(0.2, 0.6), blur, 0))
    grain = rng.normal(0.0, rng.uniform(0.004, 0.012), (size, size, 1)).astype(np.float32)
    picture = np.clip((picture + grain) * 255.0 + 0.5, 0, 255).astype(np.uint8)
    mask = np.full((size, size), CLASS_BACKGROUND, np.uint8)
    mask[shrink(other) > 0.5] = CLASS_SECOND_SCALE
    mask[shrink(inside) > 0.5] = CLASS_SCALE
    mask[shrink(posterior) > 0.5] = CLASS_POSTERIOR
    mask[shrink(annulus) > 0.5] = CLASS_ANNULUS
    mask[shrink(cover) > 0.5] = CLASS_LABEL
    return Drawing(picture, mask, age, month, code, int(second))


# ---- Command line --------------------------------------------------------------


def write_one(job):
    """Draws and writes one picture with its mask; returns its row of labels.csv."""
    out, seed, index, size, label = job
    drawing = draw(seed, index, size, label)
    name = f"scale_{index:04d}.png"
    Image.fromarray(drawing.picture).save(out / name)
    Image.fromarray(drawing.mask).save(out / "masks" / name)
    return [name, drawing.age, f"masks/{name}", drawing.month, drawing.code, drawing.second]


def main():
    """Draws the pictures that the command line asks for."""
    parser = argparse.ArgumentParser(description="Draw fish scales with ground-truth masks.")
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=256, help="side in pixels")
    parser.add_argument("--label", choices=["none", "random", "age", "wrong"], default="random",
                        help="slide label: none, a look by lot, one that says the age or one that says another")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    args = parser.parse_args()
    (args.out / "masks").mkdir(parents=True, exist_ok=True)
    jobs = [(args.out, args.seed, index, args.size, args.label) for index in range(args.count)]
    with multiprocessing.Pool(args.jobs) as pool:
        rows = pool.map(write_one, jobs, chunksize=4)
    with open(args.out / "labels.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "label", "mask", "month", "code", "second"])
        writer.writerows(rows)


if __name__ == "__main__":
    main()
