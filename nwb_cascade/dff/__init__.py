"""Raw fluorescence to dF/F: neuropil, baseline and what was done about baselines that cannot divide."""

from nwb_cascade.dff.baseline import running_percentile
from nwb_cascade.dff.compute import DffResult, compute_dff
from nwb_cascade.dff.method import DffMethod
from nwb_cascade.dff.neuropil import fit_neuropil_factor
from nwb_cascade.dff.rows import DffRows

__all__ = ["DffMethod", "DffResult", "DffRows", "compute_dff", "fit_neuropil_factor", "running_percentile"]
