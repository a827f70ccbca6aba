"""Ways out: how batches reach their target branch. Each answers the questions of ``refsync.sync.publisher``."""
