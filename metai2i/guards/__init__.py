"""What plugins are held to at work: what they hand over, what they may not change, how their faults are told."""
