"""The folder of a finished run: what is written into it and read from it."""
