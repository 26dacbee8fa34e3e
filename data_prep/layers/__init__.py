"""A frame's layers: head, torso, background, and what is in front of them."""
