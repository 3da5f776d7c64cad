"""What results are written to."""
