"""Arrays: from .npy files to one divided data set."""
