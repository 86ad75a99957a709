"""The inner and the outer loop: copies, their adaptation, and what they give the general model."""
