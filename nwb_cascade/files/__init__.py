"""What everything that writes large files shares: space, copies, replacement in one step, matrices on disk."""
