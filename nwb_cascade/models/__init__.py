"""Model files: the bundle format, where bundles live, and how Cascade's published models become bundles."""
