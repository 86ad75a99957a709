"""Engines: ways to compute one and the same meta-gradient of an episode, which differ in time and memory."""
