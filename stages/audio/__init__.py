"""Audio: what a song goes through to become numbers."""
