"""What the source says of a line of the user's code: the statements around it, and where its names come from."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator

from bench.source import whole

_MAKES_DATASETS = frozenset(
    {"batch", "cache", "from_generator", "from_tensor_slices", "from_tensors", "prefetch", "repeat", "shuffle", "take"}
)
_LOOPS = (ast.For, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_PASSES_ON = frozenset({"enumerate", "iter", "list_files", "tqdm", "zip"})  # what iterates goes through its arguments


class Line:
    """A line of a file; nothing is known of one whose source is not there, or is no Python.

    Args:
        file: of the user's code.
        line: in it, from 1.
    """

    def __init__(self, file: str, line: int) -> None:
        self._tree = _parsed(whole(file))
        self._around = [
            node for node in ast.walk(self._tree) if getattr(node, "lineno", line + 1) <= line <= _end(node)
        ]

    def decides(self) -> bool:
        """Whether it is the condition of an `if`, a `while`, an `assert` or a conditional expression."""
        conditions = (getattr(node, "test", None) for node in self._around)
        return any(condition in self._around for condition in conditions if condition is not None)

    def calls_of_numpy(self) -> set[str]:
        """Names of NumPy's functions that it calls: `mean` of `np.mean(x)`."""
        numpy = {
            alias.asname or alias.name
            for node in ast.walk(self._tree)
            if isinstance(node, ast.Import)
            for alias in node.names
            if alias.name == "numpy"
        }
        return {
            call.func.attr
            for call in self._calls()
            if isinstance(call.func, ast.Attribute)
            and isinstance(call.func.value, ast.Name)
            and call.func.value.id in numpy
        }

    def reads_metric(self) -> bool:
        """Whether it asks a metric for its `result()`."""
        return any(isinstance(call.func, ast.Attribute) and call.func.attr == "result" for call in self._calls())

    def reads_element_of_dataset(self) -> bool:
        """Whether what it reads is a name that a loop around it takes from a tf.data dataset."""
        loops = (loop for node in self._around for loop in (node, *getattr(node, "generators", ())))
        elements = {
            name
            for loop in loops
            if isinstance(loop, ast.For | ast.comprehension) and self._is_dataset(loop.iter)
            for name in _names(loop.target)
        }
        arguments = (each for call in self._calls() for each in (*call.args, getattr(call.func, "value", None)))
        return any(isinstance(each, ast.Name) and each.id in elements for each in arguments)

    def is_in_a_batch(self) -> bool:
        """Whether a loop is around it that has no other inside, and is none over epochs."""
        loops = [node for node in self._around if isinstance(node, _LOOPS)]
        if not loops:
            return False
        innermost = min(loops, key=lambda node: _end(node) - node.lineno)
        inside = [node for node in ast.walk(innermost) if isinstance(node, ast.For | ast.While)]
        over = _names(innermost.target) if isinstance(innermost, ast.For) else set()
        return len(inside) <= 1 and not any("epoch" in name.lower() for name in over)

    def is_repeated(self) -> bool:
        """Whether a loop is around it, in the same function."""
        return any(isinstance(node, _LOOPS) for node in self._around)

    def _calls(self) -> Iterator[ast.Call]:
        return (node for node in self._around if isinstance(node, ast.Call))

    def _is_dataset(self, iterated: ast.expr) -> bool:
        match iterated:
            case ast.Call(func=ast.Name(id=name), args=arguments) if name in _PASSES_ON:
                return any(map(self._is_dataset, arguments))
            case ast.Call(func=ast.Attribute(attr=name)) if name in _MAKES_DATASETS:
                return True
            case ast.Call(func=ast.Attribute(value=made)):
                return self._is_dataset(made)
            case ast.Name(id=name):
                return any(self._is_dataset(value) for value in self._assigned(name))
        return False

    def _assigned(self, name: str) -> Iterator[ast.expr]:
        """What a name is given anywhere in the file, itself not among it."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Assign) and name in _names(ast.Tuple([*node.targets])) - _names(node.value):
                yield node.value


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


@functools.lru_cache(maxsize=64)
def _parsed(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError:
        return ast.Module([], [])


def _end(node: ast.AST) -> int:
    return getattr(node, "end_lineno", None) or 0
