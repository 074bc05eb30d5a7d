"""Array libraries: arrays and operations on NumPy, CuPy and dpnp, and how they are replayed."""
