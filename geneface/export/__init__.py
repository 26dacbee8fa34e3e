"""What leaves for other programs: the head as a textured mesh."""
