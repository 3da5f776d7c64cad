"""Windows of calcium with and without a spike: a classifier, an autoencoder and its latent space."""
