"""What surrounds the person: the square, another backdrop, nothing (alpha), or the original video's frame."""
