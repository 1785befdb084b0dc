"""What a result depends on: names of content, of code and of the libraries behind it.

A *fingerprint* is a SHA-256 as 64 hexadecimal digits. The fingerprint of code covers the
definitions that are reached, not whole files, so that a change elsewhere keeps stored results.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import json
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

# The folder that holds our own packages.
SOURCE = Path(__file__).resolve().parents[2]
# They draw, record and store numbers, or read and check the files of `config`, and compute none.
# What a study's file says is compared by itself, see `utils.config.settings`.
WITHOUT_NUMBERS = (
    "utils.config.checks",
    "utils.config.facts",
    "utils.config.load",
    "utils.config.schema",
    "utils.config.settings",
    "utils.config.strict_yaml",
    "utils.config.unfinished",
    "utils.figures",
    "utils.places",
    "utils.runs.record",
    "utils.store",
)


class Definition(NamedTuple):
    """A name that a module defines; None stands for everything in the module."""

    module: str
    name: str | None


def fingerprint(content: Any) -> str:
    """Return a 64-digit name of `content`, which JSON can hold; the order of keys is irrelevant."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def source_files(*modules: str) -> list[Path]:
    """List our own files that `modules` depend on, themselves included.

    Parameters
    ----------
    *modules : str
        Names of modules, for example ``"utils.representations.training"``.

    Returns
    -------
    list of Path
        Sorted; found by following imports of our own packages, those inside functions too.
    """
    found: set[Path] = set()
    waiting = {_require_file(module) for module in modules}
    while waiting:
        file = waiting.pop()
        found.add(file)
        tree = ast.parse(file.read_text(encoding="utf-8"))
        targets = _imports_in(tree, _package_of(file)).values()
        waiting |= {_require_file(target.module) for target in targets} - found
    return sorted(found)


def source_fingerprint(*modules: str) -> str:
    """Return a fingerprint of the code behind `modules`.

    It covers everything in `modules`, and of our other modules the definitions that these reach. A
    change elsewhere, in comments, docstrings or layout leaves it as it was.
    """
    return _reach(Definition(module, None) for module in modules).fingerprint()


def notebook_fingerprint(script: Path) -> str:
    """Return a fingerprint of the code behind a notebook's paired script, without the script's own.

    It covers our own definitions that the script reaches, as in `source_fingerprint`.
    """
    return _reach(_used_by_script(script)).fingerprint()


def numbers_fingerprint(script: Path) -> str:
    """Return a fingerprint of the code that computes the numbers of a notebook's paired script.

    It is `notebook_fingerprint` without the modules of `WITHOUT_NUMBERS` and what is reached only
    through them: a new colour in a figure makes no published number stale.
    """
    return _reach(_used_by_script(script), WITHOUT_NUMBERS).fingerprint()


def notebook_definitions(script: Path) -> dict[str, str]:
    """Return the beginning of a fingerprint of each of our definitions that a script reaches.

    They are the parts of `notebook_fingerprint`, by module and name (``*`` for all in a module).
    Names that a package only passes on have no code of their own and are left out.
    """
    reached = _reach(_used_by_script(script)).code
    return {
        f"{m}.{name or '*'}": fingerprint(code)[:12] for (m, name), code in reached.items() if code
    }


def _used_by_script(script: Path) -> list[Definition]:
    own = ""  # what the script itself defines is in no module
    used = _Source(own, Path(script))
    steps = (step for node in used.statements for step in used.references(node))
    return [step for step in steps if step.module != own]


def library_versions(*modules: str) -> dict[str, str]:
    """Return the versions of the installed libraries that the code behind `modules` imports.

    Returns
    -------
    dict of str to str
        Version by the name of the distribution, sorted. The standard library is left out.
    """
    reached = _reach(Definition(module, None) for module in modules)
    packages = {package for one in reached.statements for package in _libraries_of(*one)}
    names = {name for package in packages for name in distributions().get(package, ())}
    return {name: importlib.metadata.version(name) for name in sorted(names)}


@cache
def distributions() -> dict[str, list[str]]:
    """Return the installed distributions by the top-level package that they provide."""
    return dict(importlib.metadata.packages_distributions())


class _Reached(NamedTuple):
    """Code that was followed to its end: the text of each definition, and every statement."""

    code: dict[Definition, list[str]]
    statements: list[tuple[ast.stmt, _Source]]

    def fingerprint(self) -> str:
        return fingerprint({f"{m}.{name or '*'}": code for (m, name), code in self.code.items()})


def _reach(steps: Iterable[Definition], without: Iterable[str] = ()) -> _Reached:
    """Follow definitions to everything that they use, except into the modules of `without`."""
    closed = tuple(without)
    sources: dict[str, _Source] = {}
    reached = _Reached({}, [])
    waiting = list(steps)
    while waiting:
        step = waiting.pop()
        if step in reached.code or _is_in(step.module, closed):
            continue
        if step.module not in sources:
            sources[step.module] = _source(step.module)
        source = sources[step.module]
        if step.name in source.imported and step.name not in source.defined:
            reached.code[step] = []  # a name that a package only passes on
            waiting.append(source.imported[step.name])
            continue
        statements = source.statements_of(step.name)
        reached.code[step] = [_code_of(statement) for statement in statements]
        for statement in statements:
            waiting += _used_by(statement, source)
            reached.statements.append((statement, source))
    return reached


def _is_in(module: str, packages: Iterable[str]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


def _file_of(module: str) -> Path | None:
    """Return the file of one of our modules or packages, or None."""
    return _find(SOURCE, module)


@cache
def _find(source: Path, module: str) -> Path | None:
    path = source.joinpath(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in candidates if file.is_file()), None)


def _require_file(module: str) -> Path:
    file = _file_of(module)
    if file is None:
        raise FileNotFoundError(f"there is no module {module} in {SOURCE}")
    return file


def _package_of(file: Path) -> str:
    """Name the package that a file lies in, to which its relative imports refer."""
    return ".".join(file.parent.relative_to(SOURCE).parts)


def _is_own(module: str) -> bool:
    return (SOURCE / module.partition(".")[0]).is_dir()


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Go through a tree and the statements in it, far less than `ast.walk` goes through."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for block in ("body", "orelse", "finalbody", "handlers", "cases"):
            waiting += getattr(node, block, ())


def _imports_in(tree: ast.AST, package: str) -> dict[str, Definition]:
    """Map each name that `tree` imports from our own packages to what it stands for."""
    found: dict[str, Definition] = {}
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if _is_own(alias.name):
                    bound = alias.asname or alias.name.partition(".")[0]
                    found[bound] = Definition(alias.name, None)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, package)
            if module and _is_own(module):
                for alias in node.names:
                    found[alias.asname or alias.name] = _imported(module, alias.name)
    return found


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """Return the module that a ``from`` statement names, also where it is relative."""
    if not node.level:
        return node.module or ""
    parents = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*parents, *([node.module] if node.module else [])])


def _imported(module: str, name: str) -> Definition:
    is_module = _file_of(f"{module}.{name}") is not None
    return Definition(f"{module}.{name}", None) if is_module else Definition(module, name)


def _libraries_in(tree: ast.AST) -> dict[str, str]:
    """Map each name that `tree` imports from elsewhere to the top-level package behind it."""
    found: dict[str, str] = {}
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            pairs = [(a.asname or a.name.partition(".")[0], a.name) for a in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            pairs = [(alias.asname or alias.name, node.module or "") for alias in node.names]
        else:
            continue
        for bound, module in pairs:
            top = module.partition(".")[0]
            if top not in sys.stdlib_module_names and not _is_own(top):
                found[bound] = top
    return found


def _source(module: str) -> _Source:
    """Read one of our modules, again only if its file has changed."""
    path = _require_file(module)
    return _read_source(module, path, path.stat().st_mtime_ns)


@cache
def _read_source(module: str, path: Path, _changed: int) -> _Source:
    return _Source(module, path)


# Several notebooks reach the same statements, which are looked through once.
@cache
def _code_of(statement: ast.stmt) -> str:
    return ast.dump(statement)


@cache
def _used_by(statement: ast.stmt, source: _Source) -> list[Definition]:
    return source.references(statement)


@cache
def _libraries_of(statement: ast.stmt, source: _Source) -> set[str]:
    return source.libraries_used_by(statement)


class _Source:
    """A file of Python, as statements that define names and use others."""

    def __init__(self, module: str, path: Path) -> None:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        # What is imported for type checkers never runs.
        tree.body = [node for node in tree.body if not _is_for_type_checkers(node)]
        for node in _statements(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list) and body and _is_docstring(body[0]):
                del body[0]
        self.module = module
        self.package = _package_of(path) if module else ""
        self.statements = [node for node in tree.body if not isinstance(node, _IMPORTS)]
        self.imported: dict[str, Definition] = {}
        self.libraries: dict[str, str] = {}
        for statement in tree.body:
            if not isinstance(statement, _DEFINITIONS):
                self.imported |= _imports_in(statement, self.package)
                self.libraries |= _libraries_in(statement)
        self._definitions = [(_names_defined_by(node), node) for node in self.statements]
        self.defined = {name for names, _ in self._definitions for name in names}

    def statements_of(self, name: str | None) -> list[ast.stmt]:
        """Return the statements behind a definition; all if `name` is None or not defined here.

        A statement that defines nothing runs whenever the module is imported, so it always counts.
        """
        if name not in self.defined:
            return self.statements
        return [node for defined, node in self._definitions if not defined or name in defined]

    def references(self, statement: ast.stmt) -> list[Definition]:
        """List what a statement uses of our own code."""
        nodes = list(ast.walk(statement))
        names = [node for node in nodes if isinstance(node, ast.Name)]
        parts = [
            node
            for node in nodes
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        ]
        imported_here = _imports_in(statement, self.package)
        own = [Definition(self.module, name) for name in {n.id for n in names} & self.defined]
        # Of a module that is named only to take something out of it, this counts alone.
        imports = self.imported | imported_here
        with_part = {id(node.value) for node in parts}
        whole = {node.id for node in names if id(node) not in with_part}
        found = [target for alias, target in imports.items() if alias in whole]
        for node in parts:
            target = imports.get(node.value.id)
            if target is not None:
                found.append(_part_of(target, node.attr))
        # What is imported from a module by name is used.
        return [*own, *found, *(t for t in imported_here.values() if t.name is not None)]

    def libraries_used_by(self, statement: ast.stmt) -> set[str]:
        """Return the top-level packages of others that a statement names or imports."""
        names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
        used = {package for bound, package in self.libraries.items() if bound in names}
        return used | set(_libraries_in(statement).values())


def _part_of(target: Definition, attribute: str) -> Definition:
    """Return what ``name.attribute`` stands for where ``name`` stands for `target`."""
    return target if target.name is not None else _imported(target.module, attribute)


_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_IMPORTS = (ast.Import, ast.ImportFrom)


def _names_defined_by(statement: ast.stmt) -> set[str]:
    if isinstance(statement, _DEFINITIONS):
        return {statement.name}
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        nodes = [node for target in targets for node in ast.walk(target)]
        return {node.id for node in nodes if isinstance(node, ast.Name)}
    return set()


def _is_for_type_checkers(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
