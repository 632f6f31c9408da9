"""Remove from parsed code what does not change its behavior."""

import ast
from importlib.util import resolve_name
from typing import Any


class Normalizer(ast.NodeTransformer):
    """Remove docstrings and the annotations of functions; make relative imports absolute."""

    def __init__(self, package: str) -> None:
        """Resolve relative imports against `package`."""
        self.package = package

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        """Write a relative import as an absolute one."""
        if node.level:
            node.module = resolve_name("." * node.level + (node.module or ""), self.package)
            node.level = 0
        return node

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
