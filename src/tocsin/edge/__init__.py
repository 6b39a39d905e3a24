"""Sense: collect, check, watch and keep readings, on a small computer if need be."""
