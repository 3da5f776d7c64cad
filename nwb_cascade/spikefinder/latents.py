"""What a latent space knows about spiking: principal components and a linear support vector machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

N_COMPONENTS = 10
MOST_WITH_HINGE = 2000
# Share of the latent's variance in the first ten components, as the Keras tutorial reports it.
TUTORIAL_EXPLAINED = (0.222, 0.148, 0.086, 0.064, 0.052, 0.040, 0.019, 0.016, 0.011, 0.009)


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of latents.

    ``explained`` (n_components,): shares of the variance; ``projected`` (n, 2): latents on the first two components,
    the first one turned so that windows with a spike lie on its positive side.
    """

    explained: NDArray[np.float64]
    projected: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LinearBoundary:
    """A linear support vector machine on latents.

    ``normal`` (n_latent,) points from windows without a spike to those with one; its length is one standard deviation
    of the latents along it. ``centre`` (n_latent,) is their mean, ``classifier`` the fitted scikit-learn pipeline.
    """

    classifier: Any
    normal: NDArray[np.float64]
    centre: NDArray[np.float64]

    def predict(self, latents: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
        """Whether each of the latents (n, n_latent) lies on the side of the spikes."""
        return np.asarray(self.classifier.predict(latents), np.bool_)

    def along_normal(self, distances: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Points (n, n_latent) at these distances (n,) from the centre along the normal, in standard deviations."""
        return np.asarray(self.centre + np.asarray(distances)[:, None] * self.normal)


def principal_components(latents: NDArray[np.floating[Any]], labels: NDArray[np.bool_]) -> Components:
    """Find the first ten principal components of latents (n, n_latent), fewer where there are fewer dimensions.

    Raises
    ------
    ImportError
        If scikit-learn is not installed.
    """
    require_sklearn()
    from sklearn.decomposition import PCA

    analysis = PCA(n_components=min(N_COMPONENTS, *latents.shape), random_state=0).fit(latents)
    projected = np.asarray(analysis.transform(latents)[:, :2], np.float64)
    labels = np.asarray(labels, np.bool_)
    if labels.any() and not labels.all() and projected[labels, 0].mean() < projected[~labels, 0].mean():
        projected[:, 0] *= -1
    return Components(np.asarray(analysis.explained_variance_ratio_, np.float64), projected)


def linear_boundary(
    latents: NDArray[np.floating[Any]], labels: NDArray[np.bool_], *, penalty: float = 0.1
) -> LinearBoundary:
    """Fit a linear support vector machine to latents (n, n_latent) and labels (n,).

    Latents are scaled to standard deviation 1 first; the normal is that of the scaled space, scaled back. Up to
    2000 windows the loss is the hinge, as in the tutorial; above, its square, which is far faster.

    Parameters
    ----------
    penalty : float
        Weight of misclassified windows, scikit-learn's ``C``.

    Raises
    ------
    ImportError
        If scikit-learn is not installed.
    """
    require_sklearn()
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC, LinearSVC

    few = len(labels) <= MOST_WITH_HINGE
    machine = SVC(kernel="linear", C=penalty) if few else LinearSVC(C=penalty, dual=False)
    fitted = make_pipeline(StandardScaler(), machine).fit(latents, labels)
    scaler = fitted[0]
    unit = np.array(machine.coef_[0], np.float64)
    unit /= max(float(np.linalg.norm(unit)), np.finfo(float).tiny)
    spread = float(np.std(scaler.transform(latents) @ unit))
    return LinearBoundary(fitted, unit * spread * scaler.scale_, np.asarray(latents, np.float64).mean(axis=0))


def require_sklearn() -> None:
    """Raise ImportError, naming the extra, unless scikit-learn is installed."""
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise ImportError("The latent analysis needs scikit-learn: pip install 'nwb-cascade[spikefinder]'.") from error
