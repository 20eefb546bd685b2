"""Sound; knows nothing of learning or DVC."""
