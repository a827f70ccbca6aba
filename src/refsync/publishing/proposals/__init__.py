"""Batches that people review in git: put up on a branch, followed through their pull request, landed or ended."""
