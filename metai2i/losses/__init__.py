"""Loss terms, and the frozen networks that they stand on."""
