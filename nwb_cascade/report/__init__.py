"""Pages that open without a network, and figures for papers: what was inferred, from what, and how well."""

from nwb_cascade.report.recording_report import write_report

__all__ = ["write_report"]
