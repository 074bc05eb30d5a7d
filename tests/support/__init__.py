"""Helpers of the tests: tables of cases, refused lines, runs, oracles, files, pretended devices."""
