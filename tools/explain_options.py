"""Write configs/<stage>.yaml for the stages whose options need no more words than the code has.

    python tools/explain_options.py

Every option of the stage's dataclass, commented out, with its default and the remark beside it in
geneface/config.py. tests/test_config.py fails where the files and the code disagree.
"""

from __future__ import annotations

import ast
import inspect
import tokenize
from io import StringIO
from pathlib import Path

from geneface import config

STAGES = {
    "prepare": config.PrepareConfig,
    "corpus": config.CorpusConfig,
    "fit": config.FitConfig,
    "render": config.RenderConfig,
    "evaluate": config.EvaluateConfig,
}
VERBS = {"corpus": "prepare-corpus"}
HEAD = """# Options of `geneface {verb}` with their defaults. Copy lines you want to change into a file of your own,
# without the # before the name, and give it with --config; or change one with --set name=value.

"""


def explained(kind: type) -> list[tuple[str, str, str]]:
    """(name, default as YAML, remark) of every option of a configuration dataclass, in order."""
    source = inspect.getsource(kind)
    remarks = {
        t.start[0]: t.string.lstrip("# ")
        for t in tokenize.generate_tokens(StringIO(source).readline)
        if t.type == tokenize.COMMENT
    }
    rows = []
    for node in ast.parse(source).body[0].body:
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            text = ast.unparse(node.value)
            default = {"True": "true", "False": "false", "''": '""'}.get(text, text)
            rows.append((node.target.id, default, remarks.get(node.end_lineno, "")))
    return rows


def main() -> None:
    folder = Path(__file__).parents[1] / "configs"
    for stage, kind in STAGES.items():
        rows = explained(kind)
        width = max(len(name) + len(default) for name, default, _ in rows) + 4
        lines = [
            f"#{name}: {default}".ljust(width) + (f"  # {remark}" if remark else "") for name, default, remark in rows
        ]
        (folder / f"{stage}.yaml").write_text(
            HEAD.format(verb=VERBS.get(stage, stage)) + "\n".join(map(str.rstrip, lines)) + "\n", "utf-8"
        )


if __name__ == "__main__":
    main()
