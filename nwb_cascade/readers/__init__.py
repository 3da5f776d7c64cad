"""What recordings are read from: one module per format."""
