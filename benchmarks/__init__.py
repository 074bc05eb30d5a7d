"""Benchmarks: the asv suite, and comparisons with other libraries. Public interface only."""
