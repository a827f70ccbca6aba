"""The story of a batch: plan, apply, publish, land."""
