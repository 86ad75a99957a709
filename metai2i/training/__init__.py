"""Driving a translator's moves, and the loop around them."""
