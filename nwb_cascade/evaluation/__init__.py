"""Held-out evaluation of models on ground truth; nothing that infers imports it."""
