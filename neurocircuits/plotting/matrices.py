"""Matrices as pictures: weights, similarities, and receptive fields tiled to a mosaic."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import Colormap
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from neurocircuits.errors import ValidationError
from neurocircuits.plotting._arrays import plain
from neurocircuits.plotting.style import EXCITATORY_MAP, FAINT, INHIBITORY_MAP, SIGNED_MAP


def weights(
    ax: Axes,
    w: ArrayLike,
    *,
    sign: int = 1,
    limit: float | None = None,
    colorbar: bool = True,
    pre: str = "presynaptic",
    post: str = "postsynaptic",
) -> AxesImage:
    """Draw a weight matrix, one row for each postsynaptic unit.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    w : array_like or DataArray, shape (n_post, n_pre)
        Magnitudes, or signed weights of an unconstrained circuit. A DataArray is put in order by ``post`` and ``pre``.
    sign : {1, -1}
        Sign of the presynaptic population: magnitudes are drawn in red or blue.
    limit : float, optional
        Weight at the end of the colour scale; the largest magnitude unless given.
    colorbar : bool
        Whether to draw the scale.
    pre, post : str
        Names of the populations, for the labels of the axes.

    Returns
    -------
    AxesImage
        The picture; its scale is symmetric about zero if a weight is negative.

    Raises
    ------
    ValidationError
        If ``w`` is not a matrix, or the sign is neither 1 nor -1.
    """
    values = plain(w, 2, "weights: w", ("post", "pre"))
    if sign not in (1, -1):
        raise ValidationError(f"weights: sign {sign!r} must be 1 (excitatory) or -1 (inhibitory).")
    cmap, low, high = _scale(values, None, limit, EXCITATORY_MAP if sign > 0 else INHIBITORY_MAP)
    image = ax.imshow(values, cmap=cmap, vmin=low, vmax=high, aspect="auto", interpolation="nearest")
    ax.set(xlabel=f"{pre} unit", ylabel=f"{post} unit")
    if colorbar:
        _colorbar(ax, image, "weight")
    return image


def cosine_matrix(ax: Axes, cosines: ArrayLike, *, bound: float | None = None, colorbar: bool = True) -> AxesImage:
    """Draw the cosines between the activities of all pairs of units.

    The diagonal, one by definition, is left grey, as are pairs with a silent unit (NaN).

    Parameters
    ----------
    ax : Axes
        Where to draw.
    cosines : array_like, shape (n_units, n_units)
        Cosines.
    bound : float, optional
        A bound to mark on the colour scale, such as ``(p/q)**2``.
    colorbar : bool
        Whether to draw the scale.

    Returns
    -------
    AxesImage
        The picture, from 0 to 1, or from -1 to 1 if a cosine is negative.

    Raises
    ------
    ValidationError
        If the matrix is not square.
    """
    values = plain(cosines, 2, "cosine_matrix: cosines").astype(float)
    if values.shape[0] != values.shape[1]:
        raise ValidationError(f"cosine_matrix: cosines of shape {values.shape} are not a square matrix.")
    np.fill_diagonal(values, np.nan)
    cmap, low, high = _scale(values, None, 1.0, EXCITATORY_MAP)
    image = ax.imshow(values, cmap=cmap.with_extremes(bad=FAINT), vmin=low, vmax=high, interpolation="nearest")
    ax.set(xlabel="unit", ylabel="unit")
    if colorbar:
        bar = _colorbar(ax, image, "cosine")
        if bound is not None:
            bar.ax.axhline(bound, color="black", linewidth=1)
            bar.ax.annotate(
                "bound",
                (0, bound),
                xycoords=("axes fraction", "data"),
                xytext=(-2, 0),
                textcoords="offset points",
                ha="right",
                va="center",
                fontsize="small",
            )
    return image


def mosaic(
    ax: Axes,
    rows: ArrayLike,
    image_shape: tuple[int, ...],
    *,
    n_columns: int | None = None,
    cmap: str | Colormap | None = None,
    symmetric: bool | None = None,
    scale: Literal["shared", "each"] | None = None,
    limit: float | None = None,
) -> AxesImage:
    """Draw the rows of a matrix as images, tiled from left to right and from top to bottom.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    rows : array_like or DataArray, shape (n, n_pixels)
        One receptive field or stimulus per row. A DataArray of weights is put in order by ``post`` and ``pre``.
    image_shape : (int, int) or (3, int, int)
        Rows and columns of one image; with a 3 before them, a row holds the red, the green and the blue image, and is
        drawn in these colours: grey is zero if the scale is symmetric, else black.
    n_columns : int, optional
        Tiles in a row; about as many as there are rows of tiles unless given.
    cmap : str or Colormap, optional
        White to red for values >= 0, blue to white to red for signed ones, unless given. Not for images in colour.
    symmetric : bool, optional
        Whether the scale is symmetric about zero; by default if a value is negative.
    scale : {"shared", "each"}, optional
        Whether all tiles share one colour scale, or each is divided by its own largest magnitude; shared unless given,
        and each for images in colour.
    limit : float, optional
        Value at the end of a shared scale; the largest magnitude unless given.

    Returns
    -------
    AxesImage
        One picture of all tiles; tiles that are not needed are masked, or transparent.

    Raises
    ------
    ValidationError
        If a row is not an image of that shape, there is no row, ``scale`` is something else, or images in colour are to
        have a colour map.
    """
    values = plain(rows, 2, "mosaic: rows", ("post", "pre")).astype(float)
    in_colour = len(image_shape) == 3
    n, (height, width) = len(values), image_shape[-2:]
    if n == 0 or values.shape[1] != math.prod(image_shape) or (in_colour and image_shape[0] != 3):
        sides = " x ".join(map(str, image_shape))
        raise ValidationError(
            f"mosaic: rows of shape {values.shape} are not images of {sides} = {math.prod(image_shape)} pixels "
            "(rows x columns, or 3 x rows x columns in colour)."
        )
    if in_colour and cmap is not None:
        raise ValidationError(f"mosaic: images in colour have no colour map, but cmap = {cmap!r}. Leave it out.")
    scale = scale or ("each" if in_colour else "shared")
    if scale not in ("shared", "each"):
        raise ValidationError(f"mosaic: scale {scale!r} is unknown. Choose from: shared, each.")
    if scale == "each":
        largest = np.abs(values).max(axis=1, keepdims=True)
        values = np.divide(values, largest, out=np.zeros_like(values), where=largest > 0)
    n_columns = n_columns or math.ceil(math.sqrt(n))
    n_rows = math.ceil(n / n_columns)
    default, low, high = _scale(values, symmetric, limit, EXCITATORY_MAP)
    images = values.reshape(n, -1, height, width)
    if in_colour:
        images = np.concatenate([np.clip((images - low) / (high - low), 0, 1), np.ones_like(images[:, :1])], axis=1)
    tiles = np.full((n_rows * n_columns, *images.shape[1:]), 0.0 if in_colour else np.nan)
    tiles[:n] = images
    sheet = tiles.reshape(n_rows, n_columns, -1, height, width).transpose(0, 3, 1, 4, 2)
    sheet = sheet.reshape(n_rows * height, n_columns * width, -1)
    image = ax.imshow(
        sheet if in_colour else sheet[..., 0],
        cmap=None if in_colour else cmap or default,
        vmin=low,
        vmax=high,
        origin="upper",
        interpolation="nearest",
    )
    frames = [Rectangle((k % n_columns * width - 0.5, k // n_columns * height - 0.5), width, height) for k in range(n)]
    ax.add_collection(PatchCollection(frames, facecolor="none", edgecolor=FAINT, linewidth=0.6))
    ax.set(anchor="N")
    ax.set_axis_off()
    return image


def _scale(
    values: NDArray[Any], symmetric: bool | None, limit: float | None, sequential: Colormap
) -> tuple[Colormap, float, float]:
    finite = values[np.isfinite(values)]
    if limit is None:
        limit = float(np.abs(finite).max(initial=0)) or 1.0
    if symmetric is None:
        symmetric = bool((finite < 0).any())
    return (SIGNED_MAP, -limit, limit) if symmetric else (sequential, 0.0, limit)


def _colorbar(ax: Axes, image: AxesImage, label: str) -> Any:
    bar = ax.figure.colorbar(image, ax=ax, label=label, fraction=0.05, pad=0.03)
    bar.outline.set_visible(False)
    return bar
