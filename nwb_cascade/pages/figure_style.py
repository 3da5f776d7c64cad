"""One look of all figures by matplotlib, which is loaded when the first of them is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Of Okabe and Ito: people with any colour vision tell them apart.
DARK, BLUE, LIGHT_BLUE, VERMILLION, GREEN = "#333333", "#0072B2", "#56B4E9", "#D55E00", "#009E73"
WIDTH_INCHES = 7.0
STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "figure.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "nwb-cascade",
}


def figure_style() -> Any:
    """Return the context in which figures are drawn.

    Raises
    ------
    ImportError
        Naming the extra, if matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        import matplotlib.figure
    except ImportError as error:
        raise ImportError("Figures need matplotlib: pip install 'nwb-cascade[report]'.") from error
    return mpl.rc_context(STYLE)


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches, which needs no screen and no global state."""
    from matplotlib.figure import Figure as FigureClass

    return FigureClass(figsize=(width, height), layout="constrained")
