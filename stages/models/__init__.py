"""Models: what is learnt, and how good it is."""
