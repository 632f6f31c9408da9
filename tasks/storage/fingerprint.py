"""Fingerprint functions by the content of their code and of all project code that they use.

A comment, a docstring, an annotation, the layout or the place of a definition changes nothing, so a module can be
moved or renamed without a cache miss. A changed helper, constant or default changes the fingerprint, wherever it is
defined in the project. Definitions are followed one by one, so a new architecture does not change the fingerprints of
the others. Sources are parsed and never imported: computing a fingerprint loads neither TensorFlow nor any package.
"""

import ast
import copy
import hashlib
import importlib.util
import symtable
import sysconfig
from collections.abc import Callable
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from tasks.storage.code_normalizer import Normalizer

# Python 3.11 raises a SystemError if two threads build syntax trees at the same time (python/cpython#106905).
PARSER = Lock()
LIBRARY_DIRS = tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib"))


class Definition(NamedTuple):
    """A module and a name that the module defines at its top level."""

    module: str
    name: str


class Code(NamedTuple):
    """The content of a definition.

    Attributes:
        text: The parsed code, without names of project modules.
        references: The definitions that it uses, by the name under which it uses them.
    """

    text: str
    references: dict[str, Definition]


class Source(NamedTuple):
    """A parsed module: its definitions, and what its imports bind (module, and name or None for the module itself)."""

    definitions: dict[str, ast.stmt]
    imports: dict[str, tuple[str, str | None]]


def code_version(*roots: Callable[..., Any]) -> str:
    """Return a SHA-256 (hexadecimal) of the parsed code of functions and of all project code that they use.

    The code of libraries is not covered; their versions belong next to this fingerprint in a cache key. Each
    definition is hashed together with what it refers to until the hashes tell apart as much as they can (color
    refinement, Weisfeiler and Leman 1968), so that it matters which of two definitions of one name is used.

    Args:
        *roots: Functions or classes that a module defines at its top level.
    """
    return _version(tuple(Definition(root.__module__, root.__qualname__) for root in roots))


@cache  # the trials of an architecture differ in their seeds only
def _version(roots: tuple[Definition, ...]) -> str:
    found = _reached(roots)
    digests = {definition: _sha256(code.text) for definition, code in found.items()}
    while True:
        refined = {definition: _refined(definition, code, digests) for definition, code in found.items()}
        stable = len(set(refined.values())) == len(set(digests.values()))
        digests = refined
        if stable:
            return _sha256(*sorted(digests.values()))


def reached(*roots: Callable[..., Any]) -> dict[Definition, Code]:
    """Return the content of `roots` and of every definition outside of libraries that they use, however indirectly.

    Raises:
        LookupError: If the source of a root is not found: a fingerprint without it would never change.
    """
    return _reached(tuple(Definition(root.__module__, root.__qualname__) for root in roots))


def _reached(roots: tuple[Definition, ...]) -> dict[Definition, Code]:
    found: dict[Definition, Code] = {}
    pending = list(roots)
    if missing := [root for root in pending if root.name not in _source(root.module).definitions]:
        raise LookupError(f"No source of {', '.join(map('.'.join, missing))} was found.")
    while pending:
        definition = pending.pop()
        if definition not in found:
            found[definition] = _code(definition)
            pending += found[definition].references.values()
    return found


def _refined(definition: Definition, code: Code, digests: dict[Definition, str]) -> str:
    references = sorted(f"{name} {digests[used]}" for name, used in code.references.items())
    return _sha256(digests[definition], *references)


def _sha256(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


@cache
def _is_library(package: str) -> bool:
    """Return whether a top-level package is installed, or part of Python, instead of being read from the project."""
    spec = _spec(package)
    places = [] if spec is None else [*(spec.submodule_search_locations or [spec.origin or ""])]
    return not places or any(Path(place).is_relative_to(library) for place in places for library in LIBRARY_DIRS)


def _spec(module: str) -> ModuleSpec | None:
    """Find a module without importing its parent packages, which `importlib.util.find_spec` would do.

    All finders of Python are asked for the top-level package, because an editable installation has one of its own.
    """
    first, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(first)
    except ValueError:  # `__main__` has no specification
        return None
    for name in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        # By its last name only: a dotted one makes Python look for the parent of a namespace package in `sys.modules`.
        spec = PathFinder.find_spec(name, list(spec.submodule_search_locations))
    return spec


@cache
def _source(module: str) -> Source:
    """Parse a module; one that is not written in Python defines nothing."""
    spec = _spec(module)
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return Source({}, {})
    text = Path(spec.origin).read_text(encoding="utf-8")
    with PARSER:
        tree = ast.parse(text)
    package = module if spec.submodule_search_locations is not None else module.rpartition(".")[0]
    tree = Normalizer(package).visit(tree)
    definitions = {name: statement for statement in tree.body for name in _defined_names(statement)}
    return Source(definitions, _bound_imports(tree.body))


def _defined_names(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    targets = getattr(statement, "targets", [getattr(statement, "target", None)])
    return [node.id for target in targets if target for node in ast.walk(target) if isinstance(node, ast.Name)]


def _bound_imports(statements: list[ast.stmt]) -> dict[str, tuple[str, str | None]]:
    """Return what the import statements among some statements bind."""
    bound: dict[str, tuple[str, str | None]] = {}
    for statement in statements:
        if isinstance(statement, ast.ImportFrom):
            bound |= {alias.asname or alias.name: (statement.module or "", alias.name) for alias in statement.names}
        elif isinstance(statement, ast.Import):
            for alias in statement.names:
                first = alias.name.split(".")[0]
                bound |= {alias.asname: (alias.name, None)} if alias.asname else {first: (first, None)}
    return bound


def _resolve(module: str, name: str) -> Definition | str | None:
    """Return the definition that a name of a module stands for, the name of a module if it is one, or None."""
    if _is_library(module.split(".")[0]):
        return None
    source = _source(module)
    if name in source.definitions:
        return Definition(module, name)
    if name in source.imports:
        owner, attribute = source.imports[name]
        return _resolve(owner, attribute) if attribute else owner
    return f"{module}.{name}" if _spec(f"{module}.{name}") else None


@cache  # the same helpers are reached from many trials
def _code(definition: Definition) -> Code:
    source = _source(definition.module)
    statement = copy.deepcopy(source.definitions.get(definition.name, ast.Pass()))
    local = _bound_imports([node for node in ast.walk(statement) if isinstance(node, ast.Import | ast.ImportFrom)])
    bound = source.imports | local
    used = sorted(_global_names(statement) | local.keys())
    places = {name: bound.get(name, (definition.module, name)) for name in used}
    targets = {name: target for name, place in places.items() if (target := _target(*place))}
    inlined = _Inlined(targets)
    text = ast.dump(inlined.visit(statement))
    of_libraries = sorted(f"{name} {places[name]}" for name in bound.keys() & places.keys() - targets.keys())
    references = {name: target for name, target in targets.items() if isinstance(target, Definition)}
    return Code("\n".join([text, *of_libraries]), references | inlined.references)


def _target(module: str, name: str | None) -> Definition | str | None:
    """Return what an imported or global name stands for, if that belongs to the project."""
    if _is_library(module.split(".")[0]):
        return None
    return _resolve(module, name) if name else module


def _global_names(statement: ast.stmt) -> set[str]:
    """Return the names that a statement looks up in its module, without local names that are spelled the same."""
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


class _Inlined(ast.NodeTransformer):
    """Replace `module.name` by a name without the module, and leave out local imports from the project."""

    def __init__(self, targets: dict[str, Definition | str]) -> None:
        """Inline attributes of those names whose target is a module."""
        self.targets = targets
        self.references: dict[str, Definition] = {}

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Replace an attribute of a project module (or of a package in it) by the definition's own name."""
        path = ast.unparse(node).split(".")
        target: Definition | str | None = self.targets.get(path[0])
        for name in path[1:]:
            if not isinstance(target, str):
                return self.generic_visit(node)
            target = _resolve(target, name)
        if not isinstance(target, Definition):
            return self.generic_visit(node)
        # Numbered, because a definition of the same name may be used without its module.
        known = {used: name for name, used in self.references.items()}
        name = known.get(target, f"@{len(known)} {target.name}")
        self.references[name] = target
        return ast.copy_location(ast.Name(name, node.ctx), node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        """Drop the names that come from the project; what they refer to is part of the fingerprint by itself."""
        node.names = [alias for alias in node.names if (alias.asname or alias.name) not in self.targets]
        return node if node.names else ast.copy_location(ast.Pass(), node)

    visit_Import = visit_ImportFrom  # type: ignore[assignment]
