"""Recordings in archives: addresses, assets, and files read by the bytes that are needed."""
