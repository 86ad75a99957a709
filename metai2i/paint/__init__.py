"""`metai2i paint`: a page on this machine on which label maps are painted, and become images as they are."""
