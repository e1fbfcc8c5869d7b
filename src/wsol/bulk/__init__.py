"""Bulk work: the same localisation on many machines, by Ray Data."""
