"""Numerical kernels on arrays only: no input or output, no clock, no chance of their own."""
