"""What this machine offers and lacks: versions, devices, models, caches, write access, and what is slow."""
