"""Static analysis of a line of the user's code: the statements around it, and where its names come from."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from typing import Any

from loop_bench.source import whole

_LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_PASSES_ON = frozenset({"enumerate", "iter", "tqdm", "zip"})  # iterate over their arguments
_DATASETS = re.compile(r"\b(tf|tensorflow)\.data\b|\bDataset\b")
_OF_EACH_BATCH = re.compile(r"on_(train_|test_|predict_)?batch_(begin|end)$")
_PYTHON_IN_GRAPHS = ("py_function", "numpy_function", "py_func")


class Line:
    """A line of a Python file, by its syntax tree; all answers are negative if the source is missing or invalid.

    Args:
        file: file of the user's code.
        line: line number in the file, from 1.
    """

    def __init__(self, file: str, line: int) -> None:
        self._line = line
        self._tree = _parsed(whole(file))
        self._around = [
            node for node in ast.walk(self._tree) if getattr(node, "lineno", line + 1) <= line <= _end(node)
        ]
        functions = [node for node in self._around if isinstance(node, _FUNCTIONS) and self._is_in_body(node)]
        self._function = max(functions, key=lambda node: node.lineno, default=None)
        begin = self._function.lineno if self._function else 0
        loops = [node for node in self._around if isinstance(node, _LOOPS) and node.lineno >= begin]
        self._loops = sorted(filter(self._is_in_body, loops), key=lambda node: (node.lineno, node.col_offset))

    def decides(self) -> bool:
        """Whether the line is the condition of an `if`, a `while`, an `assert` or a conditional expression."""
        conditions = (getattr(node, "test", None) for node in self._around)
        return any(condition in self._around for condition in conditions if condition is not None)

    def calls_of_numpy(self) -> set[str]:
        """Names of the NumPy functions that the line calls: `mean` for `np.mean(x)`."""
        numpy = {
            alias.asname or alias.name
            for node in ast.walk(self._tree)
            if isinstance(node, ast.Import)
            for alias in node.names
            if alias.name == "numpy"
        }
        return {name for name, owner in self._methods() if isinstance(owner, ast.Name) and owner.id in numpy}

    def reads_metric(self) -> bool:
        """Whether the line calls `result()`, as on a metric."""
        return any(name == "result" for name, _ in self._methods())

    def calls_on_elements(self) -> set[str]:
        """Names of methods called on, or functions called with, an unchanged element of a tf.data dataset."""
        elements = {name for target, body in self._over_datasets() for name in _names(target) - _assigned_in(body)}
        calls = ((call, next(iter(call.args), None)) for call in self._calls())
        return {
            call.func.attr
            for call, first in calls
            if isinstance(call.func, ast.Attribute)
            and any(isinstance(node, ast.Name) and node.id in elements for node in (call.func.value, first))
        }

    def is_repeated(self) -> bool:
        """Whether the line is inside a loop of its function."""
        return bool(self._loops)

    def is_in_every_batch(self) -> bool:
        """Whether the line apparently runs in every batch: its innermost loop is over batches and always reaches it.

        Such a loop contains no other loop, does not mention epochs, and has no `if step % n` around the line. Methods
        such as `on_train_batch_end` count too, because Keras calls them from such a loop.
        """
        if not self._loops:
            is_callback = self._function is not None and _OF_EACH_BATCH.match(self._function.name)
            return bool(is_callback) and not self._is_every_nth(self._function)
        innermost = self._loops[-1]
        statements = [node for node in ast.walk(innermost) if isinstance(node, ast.For | ast.AsyncFor | ast.While)]
        over = (getattr(innermost, name, None) for name in ("target", "iter", "test"))
        return (
            all(node is innermost for node in statements)
            and not any("epoch" in ast.unparse(part).lower() for part in over if part is not None)
            and not self._is_every_nth(innermost)
        )

    def _is_every_nth(self, within: Any) -> bool:
        """Whether an `if step % n` is between the line and the loop or function around it."""
        conditions = (node.test for node in self._around if isinstance(node, ast.If) and node.lineno >= within.lineno)
        return any(isinstance(part, ast.Mod) for test in conditions for part in ast.walk(test))

    def is_python_in_a_graph(self) -> bool:
        """Whether the line's function is passed to `tf.py_function` or the like, so that it runs on the host anyway."""
        if self._function is None:
            return False
        calls = (node for node in ast.walk(self._tree) if isinstance(node, ast.Call))
        return any(
            getattr(call.func, "attr", "") in _PYTHON_IN_GRAPHS
            and any(isinstance(argument, ast.Name) and argument.id == self._function.name for argument in call.args)
            for call in calls
        )

    def _is_in_body(self, node: ast.AST) -> bool:
        """Whether the line is in the body of a loop or a function, rather than in its header."""
        body = getattr(node, "body", None)
        return not isinstance(body, list) or body[0].lineno <= self._line <= _end(body[-1])

    def _calls(self) -> Iterator[ast.Call]:
        return (node for node in self._around if isinstance(node, ast.Call))

    def _methods(self) -> Iterator[tuple[str, ast.expr]]:
        """Name and owner of each call of the form `owner.name(…)`."""
        functions = (call.func for call in self._calls())
        return ((function.attr, function.value) for function in functions if isinstance(function, ast.Attribute))

    def _over_datasets(self) -> Iterator[tuple[ast.expr, list[ast.stmt]]]:
        """Target and body of each loop over a dataset that the line is in."""
        for loop in self._loops:
            for over in (loop, *getattr(loop, "generators", ())):
                if isinstance(over, ast.For | ast.AsyncFor | ast.comprehension) and self._is_dataset(over.iter):
                    yield over.target, getattr(over, "body", [])

    def _is_dataset(self, iterated: ast.expr) -> bool:
        match iterated:
            case ast.Call(func=ast.Name(id=name), args=arguments) if name in _PASSES_ON:
                return any(map(self._is_dataset, arguments))
            case ast.Call(func=ast.Attribute(value=owner)):
                return bool(_DATASETS.search(ast.unparse(owner))) or self._is_dataset(owner)
            case ast.Name(id=name):
                return any(self._is_dataset(value) for value in self._assigned(name))
        return False

    def _assigned(self, name: str) -> Iterator[ast.expr]:
        """Expressions assigned to a name anywhere in the file, without those that use the name itself."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Assign) and name in _names(ast.Tuple([*node.targets])) - _names(node.value):
                yield node.value


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _assigned_in(body: list[ast.stmt]) -> set[str]:
    names = (node for statement in body for node in ast.walk(statement) if isinstance(node, ast.Name))
    return {name.id for name in names if isinstance(name.ctx, ast.Store)}


@functools.lru_cache(maxsize=64)
def _parsed(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError:
        return ast.Module([], [])


def _end(node: ast.AST) -> int:
    return getattr(node, "end_lineno", None) or 0
