"""Whole dandisets and folders: plan, run, watch, collect."""
