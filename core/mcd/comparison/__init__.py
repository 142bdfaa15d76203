"""Two or more dissections side by side."""
