"""What an array library must give: arrays and operations on NumPy, CuPy and dpnp, and how they are replayed."""
