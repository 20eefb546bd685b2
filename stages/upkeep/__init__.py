"""Upkeep: repairs of the repository, which no stage needs."""
