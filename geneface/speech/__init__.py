"""Speech: what the motion generator hears (content features, pitch, energy, voice activity)."""
