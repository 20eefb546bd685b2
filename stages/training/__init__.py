"""Training: how a network is learnt; knows nothing of sound, DVC or the command line."""
