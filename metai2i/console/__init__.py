"""How the program speaks and ends: its two consoles, names made legible, signals, exit codes."""
