"""The long-running shell around the passes."""
