"""Learning: from arrays to a judged network; knows nothing of sound, DVC or the command line."""
