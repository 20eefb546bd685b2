"""The program: a module a stage of the pipeline, `cli.py` for people, and rooms below them."""
