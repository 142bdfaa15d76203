"""Torch modules without images: weights files, layers, hooks, pooling, devices, fingerprints."""
