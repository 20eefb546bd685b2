"""The program: one module a stage; `core` learns, `audio` hears, `files` reads and writes."""
