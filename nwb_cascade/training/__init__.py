"""Training of networks on ground truth; nothing that infers imports it."""
