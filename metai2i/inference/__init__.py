"""A finished run in use: adapting to pairs of one's own, and painting maps."""
