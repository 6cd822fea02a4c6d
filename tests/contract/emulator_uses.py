"""Finds, in the local cloud's source, every symbol of an emulator that it imports, reads, calls or replaces."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

#: Names by which a module of ministack is handed around instead of imported.
HANDED_ON = {"lambda_svc": "ministack.services.lambda_svc"}
#: Attributes of `self` that hold a module of ministack.
KEPT = {"_app": "ministack.app"}


def uses(path: Path, package: str) -> Iterator[tuple[str, str]]:
    """Yield module and symbol: names imported from the package's modules, and attributes of imported modules."""
    tree = ast.parse(path.read_text())
    modules = dict(HANDED_ON if package == "ministack" else {})
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == package:
            for name in node.names:
                full = f"{node.module}.{name.name}"
                if _is_module(full):
                    modules[name.asname or name.name] = full
                else:
                    yield str(node.module), name.name
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            module = _module_of(node.value, modules, package)
            if module and not _is_module(f"{module}.{node.attr}"):
                yield module, node.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "setattr"):
            owner, symbol = node.args[0], node.args[1]
            module = _module_of(owner, modules, package)
            if module and isinstance(symbol, ast.Constant):
                yield module, str(symbol.value)


def class_uses(path: Path, package: str) -> Iterator[tuple[str, str]]:
    """Yield module and `Class.attribute` for the private attributes of imported classes, read or overridden.

    A class that is defined here upon an imported one counts with each private method that it has.
    """
    tree = ast.parse(path.read_text())
    classes: dict[str, tuple[str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == package:
            for name in node.names:
                classes[name.asname or name.name] = (str(node.module), name.name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in classes:
            if node.attr.startswith("_"):
                module, name = classes[node.value.id]
                yield module, f"{name}.{node.attr}"
        elif isinstance(node, ast.ClassDef):
            for base in node.bases:
                if isinstance(base, ast.Name) and base.id in classes:
                    module, name = classes[base.id]
                    for method in _own_methods(node):
                        yield module, f"{name}.{method}"


def _own_methods(node: ast.ClassDef) -> Iterator[str]:
    """Private methods that override the base's, or that the class calls on itself without having them."""
    defined = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
    called = {
        inner.attr
        for inner in ast.walk(node)
        if isinstance(inner, ast.Attribute)
        and (
            (isinstance(inner.value, ast.Name) and inner.value.id == "self")
            or (isinstance(inner.value, ast.Call) and getattr(inner.value.func, "id", "") == "super")
        )
    }
    for name in sorted(defined | called):
        if name.startswith("_") and not name.startswith("__"):
            yield name


def _module_of(node: ast.expr, modules: dict[str, str], package: str) -> str | None:
    if isinstance(node, ast.Name):
        return modules.get(node.id)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
        return KEPT.get(node.attr) if package == "ministack" else None
    return None


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, AttributeError, ValueError):
        return False
