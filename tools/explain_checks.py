"""Write docs/filming.md, the page on how to film yourself, from the table of checks.

    python tools/explain_checks.py

tests/data_prep/preflight/test_checks.py fails where the page and the table disagree.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from data_prep.preflight.checks import CHECKS, GROUPS  # noqa: E402

HEAD = """# How to film yourself

`geneface prepare` looks at a video before it starts to work, and says for each point below what it measured, whether
that is good, and what to do about it. Nothing here is hard: a phone on a stand, a window in front of you, a quiet
room and two minutes of talking do.

Five to ten seconds are enough to try it out: a fit begins with how other people's faces move, so the mouth follows
early on. Shapes of the mouth and turns of the head that the clip does not show stay guesses, and a minute
shows them.

A warning does not stop it, unless you add `--strict`. What makes a video unusable does, with one line that says why.
(This page is written by `tools/explain_checks.py` from the table that the checks themselves use.)

"""


def page() -> str:
    """The page, in Markdown."""
    parts = [HEAD]
    for group in GROUPS:
        checks = [check for check in CHECKS.values() if check.group == group]
        parts.append(f"## {group}\n\n")
        tips = [check.tip for check in checks if check.tip]
        parts.append("".join(f"- {tip}\n" for tip in tips) + ("\n" if tips else ""))
        parts.append("| check | what is measured | good | refused | a warning advises |\n|---|---|---|---|---|\n")
        parts += [f"| {check.name} | {check.measures} | {check.limits()} | {check.refusal()} | {check.advice} |\n"
                  for check in checks]
        parts.append("\n")
    return "".join(parts).rstrip() + "\n"


def main() -> None:
    (ROOT / "docs" / "filming.md").write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
