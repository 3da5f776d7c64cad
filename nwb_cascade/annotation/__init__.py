"""A recording in, an annotated recording out."""
