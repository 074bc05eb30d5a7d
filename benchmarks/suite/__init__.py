"""The asv suite: parts of a step along each size, whole jobs, start-up."""
