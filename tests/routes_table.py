"""The tables of routes in docs/reference/routes.md, made from the planted lines that the tests run.

python tests/routes_table.py     # writes them anew
"""

import ast
import re
from pathlib import Path

import planted_reads as planted

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "routes.md"
MARK = re.compile(r"(<!-- routes: made by tests/routes_table.py -->\n).*(<!-- end of routes -->)", re.DOTALL)

SOURCE = Path(planted.__file__).read_text(encoding="utf-8")
# The outermost lambda of each line.
BODIES = {
    node.lineno: ast.get_source_segment(SOURCE, node.body)
    for node in reversed([node for node in ast.walk(ast.parse(SOURCE)) if isinstance(node, ast.Lambda)])
}


def table(columns, rows):
    head = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)])


def code(text):
    return f"`{text}`".replace("|", "\\|")


def planted_code(line):
    return code(BODIES[line.__code__.co_firstlineno])


def render():
    reads = [(planted_code(line), code(route), str(nbytes)) for route, nbytes, line in planted.READS]
    several = [(planted_code(line), str(len(found)), str(sum(n for _, n in found))) for found, line in planted.SEVERAL]
    none = [planted_code(line) for line in planted.NO_READS]
    unseen = [(planted_code(line), kinds or "no") for kinds, line in planted.UNSEEN]
    test = "tests/bench/hostsync/test_routes.py"
    return "\n\n".join(
        [
            "The lines are those of `tests/planted_reads.py`: `t.f3` is a float32 tensor of three numbers, `t.s` a "
            "scalar, `t.i` int32, `t.b` bool, `t.half` bfloat16, `t.v` a tf.Variable, `t.k` a keras.Variable, `t.a` an "
            "array.",
            f"**Seen, once each** ({len(reads)} lines; `test_each_read_is_counted_once_at_its_line` in {test}):",
            table(["line", "route", "bytes"], reads),
            f"**Seen, and more than one read** ({len(several)}; `test_several_reads_are_as_many`):",
            table(["line", "reads", "bytes"], several),
            f"**No read** ({len(none)}; `test_nothing_is_counted_where_nothing_is_read`): {', '.join(none)}.",
            f"**Not seen** ({len(unseen)}; `test_what_cannot_be_seen_is_known`): the host takes part, and Python does "
            "not. In a graph that is traced while recording, `log.host_ops` lists it.",
            table(["line", "found in the graph as"], unseen),
        ]
    )


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(MARK.sub(lambda found: f"{found[1]}\n{render()}\n\n{found[2]}", text), encoding="utf-8")
