"""From images to stored activations and embeddings: layers, pooling, decoding, the sweep, the store."""
