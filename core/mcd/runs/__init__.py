"""A run folder, and what makes one: the plan, the run, the manifest, the dissection, scores made anew."""
