"""Image landmarks to camera, identity, pose and expression."""
