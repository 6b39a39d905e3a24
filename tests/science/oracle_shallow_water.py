"""The flood kernel's own oracle: the same equations in plain NumPy and float64, a line for a line of the paper.

No tiles, no float32, no fused loops, no threads. Slow and easy to read; square cells, closed edges.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
G = 9.80665


def run(
    ground: Floats,
    depth: Floats,
    *,
    cell_m: float,
    manning: float,
    duration_s: float,
    theta: float,
    courant: float = 0.7,
    max_step_s: float = 60.0,
    rain_m_per_s: float = 0.0,
    thin_m: float = 1e-4,
    held: NDArray[np.bool_] | None = None,
) -> tuple[Floats, Floats, Floats]:
    """Depth at the end, peak depth and peak speed. Cells in `held` keep their depth."""
    h = depth.astype(float).copy()
    peak, speed = h.copy(), np.zeros_like(h)
    qx = np.zeros((h.shape[0], h.shape[1] + 1))  # over the west face of each cell, and the last east face
    qy = np.zeros((h.shape[0] + 1, h.shape[1]))
    start = h.copy()
    deepest = max(_face(h, ground, 1)[0].max(initial=0.0), _face(h, ground, 0)[0].max(initial=0.0))
    t = 0.0
    while t < duration_s:
        dt = min(max_step_s, courant * cell_m * np.sqrt(theta / (G * deepest))) if deepest > 0 else max_step_s
        left = duration_s - t
        dt = left if dt >= left else (0.5 * left if dt > 0.5 * left else dt)
        hx, drop_x = _face(h, ground, 1)
        hy, drop_y = _face(h, ground, 0)
        deepest = max(hx.max(initial=0.0), hy.max(initial=0.0))
        hx, hy = np.where(hx > thin_m, hx, 0.0), np.where(hy > thin_m, hy, 0.0)
        across_x = 0.25 * (qy[:-1, :-1] + qy[1:, :-1] + qy[:-1, 1:] + qy[1:, 1:])
        across_y = 0.25 * (qx[:-1, :-1] + qx[:-1, 1:] + qx[1:, :-1] + qx[1:, 1:])
        new_x, new_y = np.zeros_like(qx), np.zeros_like(qy)
        bar_x = theta * qx[:, 1:-1] + 0.5 * (1 - theta) * (qx[:, :-2] + qx[:, 2:])
        bar_y = theta * qy[1:-1] + 0.5 * (1 - theta) * (qy[:-2] + qy[2:])
        new_x[:, 1:-1] = _momentum(bar_x, qx[:, 1:-1], across_x, hx, drop_x, dt, cell_m, manning)
        new_y[1:-1] = _momentum(bar_y, qy[1:-1], across_y, hy, drop_y, dt, cell_m, manning)
        leaves = (
            dt
            / cell_m
            * (np.maximum(new_x[:, 1:], 0) - np.minimum(new_x[:, :-1], 0) + np.maximum(new_y[1:], 0) - np.minimum(new_y[:-1], 0))
        )
        share = np.where(leaves > h, h / np.maximum(leaves, 1e-300), 1.0)
        new_x[:, 1:-1] *= np.where(new_x[:, 1:-1] > 0, share[:, :-1], share[:, 1:])
        new_y[1:-1] *= np.where(new_y[1:-1] > 0, share[:-1], share[1:])
        qx, qy = new_x, new_y
        h = h + dt / cell_m * (qx[:, :-1] - qx[:, 1:] + qy[:-1] - qy[1:]) + rain_m_per_s * dt
        assert h.min() > -1e-12
        ux, uy = np.zeros_like(qx), np.zeros_like(qy)
        ux[:, 1:-1] = np.divide(qx[:, 1:-1], hx, out=np.zeros_like(hx), where=hx > 0)
        uy[1:-1] = np.divide(qy[1:-1], hy, out=np.zeros_like(hy), where=hy > 0)
        peak = np.maximum(peak, h)
        speed = np.maximum(speed, np.hypot(0.5 * (ux[:, :-1] + ux[:, 1:]), 0.5 * (uy[:-1] + uy[1:])))
        if held is not None:
            h[held] = start[held]
        t = duration_s if dt == left else t + dt
    return h, peak, speed


def _face(h: Floats, ground: Floats, axis: int) -> tuple[Floats, Floats]:
    """Depth of flow over the inner faces, and the fall of the surface over them."""
    z0, z1 = (ground[:, :-1], ground[:, 1:]) if axis else (ground[:-1], ground[1:])
    h0, h1 = (h[:, :-1], h[:, 1:]) if axis else (h[:-1], h[1:])
    return np.maximum(h0 + z0, h1 + z1) - np.maximum(z0, z1), (h0 + z0) - (h1 + z1)


def _momentum(
    bar: Floats, q: Floats, across: Floats, hf: Floats, drop: Floats, dt: float, cell_m: float, manning: float
) -> Floats:
    norm = np.hypot(np.maximum(np.abs(bar), np.abs(q)), across)
    deep = np.maximum(hf, 1e-7)
    drag = G * dt * manning**2 * norm / deep ** (7.0 / 3.0)
    return np.where(hf > 0, (bar + G * dt / cell_m * hf * drop) / (1.0 + drag), 0.0)
