"""Portrait video to prepared person, and talking clips to a training corpus.

`prepare` runs the stages; each has its room: `preflight` looks before any long work, `tracking` finds head and camera,
`layers` separates head, torso and background, `report` shows what was found. `corpora` makes training clips, `synthetic`
draws a person whose truth is known.
"""
