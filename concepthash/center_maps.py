"""Pictures of hash centers in two dimensions: numpy, and scikit-learn where it is needed."""

from typing import NamedTuple

import numpy as np

from .errors import ConfigError

__all__ = ["METHODS", "MIN_TSNE", "Plane", "checked_centers", "fit_plane", "place_between", "project", "unit_rows"]

METHODS = ("tsne", "pca")
MIN_TSNE = 8  # fewer classes have no neighborhoods worth keeping; PCA shows them as they are


class Plane(NamedTuple):
    """The plane of the first two principal components of unit vectors: ``(unit(v) - mean) @ axes``."""

    mean: np.ndarray  # (K,)
    axes: np.ndarray  # (K, 2)

    def place(self, vectors: np.ndarray) -> np.ndarray:
        """Project vectors (n, K) of any length onto the plane, (n, 2)."""
        return np.asarray((unit_rows(vectors) - self.mean) @ self.axes)


def project(centers: np.ndarray, method: str = "tsne", seed: int = 0) -> np.ndarray:
    """Lay out hash centers in two dimensions.

    Centers are first brought to unit length: the loss compares codes with centers by cosine, so only their direction
    has a meaning, and the squared distance of unit vectors is twice one minus their cosine. t-SNE starts from PCA,
    with perplexity 30 or a third of the other classes. Fewer than `MIN_TSNE` classes are always laid out by PCA.

    Parameters
    ----------
    centers
        (C, K) float.
    method
        ``"tsne"`` or ``"pca"``.
    seed
        Of t-SNE.

    Returns
    -------
    np.ndarray
        (C, 2) float32, centered; equal for equal arguments.

    Raises
    ------
    ConfigError
        For another method, or centers that are no table of finite numbers.

    References
    ----------
    van der Maaten, Hinton: Visualizing data using t-SNE, JMLR 2008; method reference, section E.3.
    """
    if method not in METHODS:
        raise ConfigError(f"There is no projection {method!r}; choose one of {', '.join(METHODS)}.")
    plane = fit_plane(centers)
    positions = plane.place(centers)  # (C, 2)
    spread = float(positions.std(axis=0).max())
    if method == "tsne" and len(centers) >= MIN_TSNE and spread > 1e-6:
        positions = _tsne(unit_rows(centers), 1e-4 * positions / spread, seed)
    return np.asarray(positions - positions.mean(axis=0), dtype=np.float32)


def fit_plane(centers: np.ndarray) -> Plane:
    """Find the plane of the first two principal components of centers (C, K) at unit length.

    Each axis points to the side of its largest weight, so that equal centers always give the same picture.

    Raises
    ------
    ConfigError
        If the centers are no table of finite numbers.
    """
    unit = unit_rows(checked_centers(centers))
    mean = unit.mean(axis=0)
    axes = np.linalg.svd(unit - mean, full_matrices=False)[2][:2].T  # (K, at most 2)
    axes = np.pad(axes, ((0, 0), (0, 2 - axes.shape[1])))  # (K, 2)
    strongest = axes[np.abs(axes).argmax(axis=0), [0, 1]]
    return Plane(mean, axes * np.where(strongest < 0, -1.0, 1.0))


def place_between(vectors: np.ndarray, centers: np.ndarray, positions: np.ndarray, count: int = 3) -> np.ndarray:
    """Place vectors in a picture of centers that has no formula: at the mean of the nearest centers' positions.

    Each of the ``count`` nearest centers weighs as much as its cosine exceeds that of the next one, so that a vector
    in the direction of one center stands close to it.

    Parameters
    ----------
    vectors, centers
        (n, K) and (C, K) float.
    positions
        (C, 2), as `project` gave them.

    Returns
    -------
    np.ndarray
        (n, 2) float32.
    """
    cosines = unit_rows(vectors) @ unit_rows(centers).T  # (n, C)
    count = min(count, len(centers))
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, : count + 1]  # (n, count + 1)
    near = np.take_along_axis(cosines, nearest, axis=1)
    weights = near[:, :count] - near[:, -1:] + 1e-6  # (n, count), the next one's cosine taken off
    weights /= weights.sum(axis=1, keepdims=True)
    return np.einsum("nk,nkd->nd", weights, positions[nearest[:, :count]]).astype(np.float32)


def _tsne(unit: np.ndarray, start: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(unit) - 1) / 3)
    method = "exact" if len(unit) <= 500 else "barnes_hut"
    tsne = TSNE(2, perplexity=perplexity, init=start.astype(np.float32), random_state=seed, method=method)
    return np.asarray(tsne.fit_transform(unit.astype(np.float32)), dtype=np.float64)


def checked_centers(centers: np.ndarray) -> np.ndarray:
    """Give centers (C, K) as float64.

    Raises
    ------
    ConfigError
        If they are no table of finite numbers.
    """
    centers = np.asarray(centers, dtype=np.float64)
    if centers.ndim != 2 or 0 in centers.shape:
        raise ConfigError(f"Hash centers have the shape {centers.shape}; give one row of bits for each class.")
    if not np.isfinite(centers).all():
        raise ConfigError("Some hash centers are not finite numbers; train the model again, or use another checkpoint.")
    return centers


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Bring the rows of (n, K) to length 1, float64; a row of zeros stays as it is."""
    vectors = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
