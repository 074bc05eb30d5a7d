"""The same training step in xbnet and in other libraries; `python -m benchmarks.peers` says how fast each one is."""
