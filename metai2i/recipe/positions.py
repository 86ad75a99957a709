"""YAML to plain data in which every key and value knows where it was written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from metai2i.errors import Location, UserError, UserErrors


@dataclass(frozen=True)
class Node:
    """A value and where it was written.

    Args:
        value: a `dict[str, Node]`, a `list[Node]`, or a str, int, float, bool or None.
        where: where the value starts.
        key: where its key starts, for the values of a mapping.
    """

    value: Any
    where: Location
    key: Location | None = None

    @property
    def is_mapping(self) -> bool:
        """Whether the value is a mapping."""
        return isinstance(self.value, dict)

    def get(self, name: str) -> Node | None:
        """The value under a key; None when there is none, or no mapping."""
        found: Node | None = self.value.get(name) if isinstance(self.value, dict) else None
        return found

    def without(self, *names: str) -> Node:
        """The mapping less some keys."""
        return replace(self, value={name: child for name, child in self.value.items() if name not in names})

    def only(self, *names: str) -> Node:
        """The mapping's entries under some keys."""
        return replace(self, value={name: child for name, child in self.value.items() if name in names})

    def plain(self) -> Any:
        """The data without positions."""
        if isinstance(self.value, dict):
            return {name: child.plain() for name, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def locate(self, path: tuple[str | int, ...], *, on_key: bool = False) -> Location:
        """Where the value at `path` (with `on_key`: its key) was written, or else what is nearest above it."""
        node = self
        for part in path:
            inside = isinstance(node.value, dict) and part in node.value
            inside = inside or (isinstance(node.value, list) and isinstance(part, int) and part < len(node.value))
            if not inside:
                # Something is missing there: the key of the section says more than the start of its value.
                return node.key or node.where
            node = node.value[part]
        return node.key if on_key and node.key else node.where

    def moved(self, where: Location) -> Node:
        """The same data, all of it written at one place."""
        value = self.value
        if isinstance(value, dict):
            value = {name: child.moved(where) for name, child in value.items()}
        elif isinstance(value, list):
            value = [child.moved(where) for child in value]
        return Node(value, where, where)


class _Loader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2's floats (`1e-4`), and dates as the strings that they are written as."""


class _Dumper(yaml.SafeDumper):
    """The counterpart of the loader: quotes just those strings that it would take for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_FLOAT = re.compile(
    r"""[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+]?[0-9]+)?$
       |[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+$
       |[-+]?\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?$
       |[-+]?\.(?:inf|Inf|INF)$
       |\.(?:nan|NaN|NAN)$""",
    re.VERBOSE,
)
_DROPPED = ("tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp")
_RESOLVERS = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _DROPPED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _class in (_Loader, _Dumper):
    _class.yaml_implicit_resolvers = {first: list(resolvers) for first, resolvers in _RESOLVERS.items()}
    _class.add_implicit_resolver(_DROPPED[0], _FLOAT, list("-+0123456789."))

_SCALARS = (str, int, float, bool, type(None))


def parse_yaml(text: str, file: str) -> Node:
    """The data in a YAML text, with positions.

    Keys are strings always, as they are written. Anchors and merge keys (`<<`) are followed.

    Args:
        text: one YAML document.
        file: what error messages call it.

    Raises:
        UserErrors: for broken YAML, and for all duplicate keys and unknown tags in it.
    """
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                return Node(None, Location(file))
            errors: list[UserError] = []
            node = _Reader(loader, file, errors).read(root)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise UserErrors([_syntax_error(error, file)]) from None
    except RecursionError:
        raise UserErrors([UserError("this is nested too deep", where=Location(file))]) from None
    if errors:
        raise UserErrors(errors)
    return node


def dump_yaml(data: Any) -> str:
    """Plain data as YAML that `parse_yaml` reads back as it was."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


class _Reader:
    def __init__(self, loader: _Loader, file: str, errors: list[UserError]) -> None:
        self.loader, self.file, self.errors = loader, file, errors
        self.open: list[yaml.Node] = []  # to notice an alias inside its own anchor

    def read(self, node: yaml.Node, key: yaml.Node | None = None) -> Node:
        where, key_where = self.where(node), self.where(key) if key else None
        if node in self.open:
            self.errors.append(UserError("this alias is part of what it stands for", where=key_where or where))
            return Node(None, where, key_where)
        self.open.append(node)
        if isinstance(node, yaml.MappingNode):
            value: Any = self.mapping(node)
        elif isinstance(node, yaml.SequenceNode):
            value = [self.read(item) for item in node.value]
        else:
            value = self.scalar(node)
        self.open.pop()
        return Node(value, where, key_where)

    def where(self, node: yaml.Node) -> Location:
        return Location(self.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def mapping(self, node: yaml.MappingNode) -> dict[str, Node]:
        own: dict[str, Node] = {}
        inherited: dict[str, Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.errors.append(
                    UserError("got a list or a section as a key, expected a name", where=self.where(key))
                )
            elif key.tag == "tag:yaml.org,2002:merge":
                for base in self.merged(value):
                    inherited = {**base, **inherited}
            elif key.value in own:
                first = own[key.value].key
                self.errors.append(
                    UserError(
                        f"key {key.value!r} is written twice",
                        where=self.where(key),
                        hint=f"the first is in line {first.line}" if first else None,
                    )
                )
            else:
                own[key.value] = self.read(value, key)
        return {**inherited, **own}

    def merged(self, node: yaml.Node) -> Iterator[Mapping[str, Node]]:
        for base in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if isinstance(base, yaml.MappingNode):
                yield self.read(base).value
            else:
                self.errors.append(UserError("got no section behind '<<', expected one", where=self.where(base)))

    def scalar(self, node: yaml.Node) -> Any:
        try:
            value = self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError, TypeError, KeyError):
            value = node
        if isinstance(value, _SCALARS):
            return value
        self.errors.append(
            UserError(f"got {node.value!r}, which is no value of type {node.tag}", where=self.where(node))
        )
        return None


def _syntax_error(error: yaml.YAMLError, file: str) -> UserError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    where = Location(file, mark.line + 1, mark.column + 1) if mark else Location(file)
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
    context, start = getattr(error, "context", None), getattr(error, "context_mark", None)
    if context:
        problem += f", {context}" + (f" that starts in line {start.line + 1}" if start else "")
    return UserError(
        f"this is not YAML: {problem}", where=where, hint=r"indent with spaces" if r"'\t'" in problem else None
    )
