"""Synthetic talkers: sentences, speech with phone timings, and lips learned from recorded ones."""
