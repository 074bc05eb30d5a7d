"""Benchmarks: the asv suite in `suite/`, and comparisons with other libraries. Public interface only."""
