"""refsync: a Git-backed GitOps sync daemon for model references."""
