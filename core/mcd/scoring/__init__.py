"""From activations and similarity to labels: scores, nulls, significance. Knows neither images nor run folders."""
