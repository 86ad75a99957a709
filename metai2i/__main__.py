"""`python -m metai2i`."""

from metai2i.cli import main

main()
