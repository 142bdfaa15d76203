"""From scores to significance: nulls, p-values, false-discovery control. Pure functions; no files, no plugins."""
