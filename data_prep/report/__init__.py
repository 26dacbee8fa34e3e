"""The page that shows what preparation found."""
