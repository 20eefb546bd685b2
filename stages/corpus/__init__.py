"""The demo's music: composed, then rendered as sound."""
