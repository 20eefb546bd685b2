"""Listening: a trained model at work, on songs here, in ONNX and on a page.

from stages.listening import Listener

listener = Listener("data/model/melgrams.json")
song = listener("song.mp3")
song = listener.hear(samples, sample_rate)
"""

from stages.listening.listener import Listener, Song

__all__ = ["Listener", "Song"]
