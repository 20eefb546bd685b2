"""Upkeep: repairs of the repository, in no stage's way."""
