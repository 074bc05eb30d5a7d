"""Layers of the networks that are best on tables; each one's forward and backward, as in the folder above."""
