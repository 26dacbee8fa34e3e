"""The renderer: a head field in head space, a torso behind it, the background plate behind both."""
