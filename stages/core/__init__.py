"""Learning; knows nothing of sound or DVC."""
