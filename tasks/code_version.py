"""What a result was made by: a fingerprint of functions and of all project code that they reach.

A comment, a docstring, an annotation or the layout changes nothing; a changed helper, constant
or default does, wherever it lives in the project. Definitions are followed one by one, so that
a new architecture does not touch the fingerprint of the others. The sources are parsed, never
imported: asking for a fingerprint loads no TensorFlow.
"""

import ast
import hashlib
import importlib.util
import symtable
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

Definition = tuple[str, str]  # module, name at its top level


def code_version(*roots: Callable[..., Any]) -> str:
    """Return a sha256 (hexadecimal) over the parsed code of `roots` and of all that they reach.

    Followed are the definitions of this project's modules and of the packages that the roots come
    from. Libraries are not: their versions belong beside this fingerprint.
    """
    return hashlib.sha256(repr(sorted(reached(*roots).items())).encode()).hexdigest()


def reached(*roots: Callable[..., Any]) -> dict[Definition, str]:
    """Return every definition that `roots` reach, themselves included, with its parsed code as text."""
    packages = {"tasks", *(_package(root.__module__) for root in roots)}
    parts: dict[Definition, str] = {}
    pending = [(root.__module__, root.__qualname__) for root in roots]
    while pending:
        definition = pending.pop()
        if definition in parts or _package(definition[0]) not in packages:
            continue
        statement = _definitions(definition[0]).get(definition[1])
        if isinstance(statement, ast.Import | ast.ImportFrom):
            # An import is followed, but what else its line imports is nothing to this definition.
            parts[definition] = ""
            pending += _imported(statement, definition[1])
        elif statement is not None:
            parts[definition], referred = _text_and_names(definition[0], statement)
            pending += referred
    return parts


def _package(module: str) -> str:
    return module.split(".")[0]


@cache
def _definitions(module: str) -> dict[str, ast.stmt]:
    """Parse a module and return its top-level statements under the names that they define."""
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # what is taken for a module is a class of one
        return {}
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return {}
    tree = _Essence().visit(ast.parse(Path(spec.origin).read_text(encoding="utf-8")))
    return {name: statement for statement in tree.body for name in _names(statement)}


def _names(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name for alias in statement.names]
    targets = getattr(statement, "targets", [getattr(statement, "target", None)])
    return [node.id for target in targets if target for node in ast.walk(target) if isinstance(node, ast.Name)]


@cache  # the same helpers are reached from many cells
def _text_and_names(module: str, statement: ast.stmt) -> tuple[str, list[Definition]]:
    """Return a statement's parsed code as text, and every definition that it names."""
    return ast.dump(statement), list(_references(module, statement))


def _references(module: str, statement: ast.stmt) -> Iterator[Definition]:
    """Yield every definition that a statement names: in its own module, or imported from another."""
    names = _global_names(statement)
    yield from ((module, name) for name in names)
    for node in ast.walk(statement):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names:
            owner = _imported_module(_definitions(module).get(node.value.id), node.value.id)
            if owner:
                yield owner, node.attr


def _imported(statement: ast.Import | ast.ImportFrom, name: str) -> list[Definition]:
    """Name the definition that an import statement binds to `name`, if it is one of a module's."""
    if not isinstance(statement, ast.ImportFrom) or not statement.module:
        return []
    return [(statement.module, alias.name) for alias in statement.names if (alias.asname or alias.name) == name]


def _global_names(statement: ast.stmt) -> set[str]:
    """Return the names that a statement looks up in its module, local ones that are called alike left out."""
    names: set[str] = set()
    tables = [symtable.symtable(ast.unparse(statement), "statement", "exec")]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        top = table.get_type() == "module"
        names |= {
            symbol.get_name()
            for symbol in table.get_symbols()
            if symbol.is_global() or (top and symbol.is_referenced())
        }
    return names


def _imported_module(statement: ast.stmt | None, name: str) -> str | None:
    """Return the module that an import statement binds to `name`, if it may be one."""
    if not isinstance(statement, ast.Import | ast.ImportFrom):
        return None
    original = {alias.asname or alias.name: alias.name for alias in statement.names}[name]
    return f"{statement.module}.{original}" if isinstance(statement, ast.ImportFrom) else original


class _Essence(ast.NodeTransformer):
    """Leaves out what does not change what code does: docstrings and the annotations of functions."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Drop the docstring, the return type and the parameters' types."""
        node.returns = None
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
        return self.visit_ClassDef(node)

    visit_AsyncFunctionDef = visit_FunctionDef  # type: ignore[assignment]

    def visit_ClassDef(self, node: Any) -> ast.AST:
        """Drop the docstring."""
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return self.generic_visit(node)
