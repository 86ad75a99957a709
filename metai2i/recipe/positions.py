"""YAML to plain data in which every key and value knows where it was written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from metai2i.errors import Location, UserError, UserErrors
from metai2i.recipe.scalars import MERGE, STR, Plain, short, teach, value_of
from metai2i.recipe.yaml_errors import syntax_error


@dataclass(frozen=True)
class Node:
    """A value and where it was written.

    Args:
        value: a `dict[str, Node]`, a `list[Node]`, or a str, int, float, bool or None.
        where: where the value starts.
        key: where its key starts, for the values of a mapping.
        text: a number, true, false or null as it is written; None for all else, and for what nobody has written.
    """

    value: Any
    where: Location
    key: Location | None = None
    text: str | None = None

    @property
    def is_mapping(self) -> bool:
        """Return whether the value is a mapping."""
        return isinstance(self.value, dict)

    def get(self, name: str) -> Node | None:
        """Return the value under a key; None when there is none, or no mapping."""
        child: Node | None = self.value.get(name) if isinstance(self.value, dict) else None
        return child

    def without(self, *names: str) -> Node:
        """Return the mapping less some keys."""
        return replace(self, value={name: child for name, child in self.value.items() if name not in names})

    def only(self, *names: str) -> Node:
        """Return the mapping's entries under some keys."""
        return replace(self, value={name: child for name, child in self.value.items() if name in names})

    def plain(self) -> Any:
        """Return the data without positions."""
        if isinstance(self.value, dict):
            return {name: child.plain() for name, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def locate(self, path: tuple[str | int, ...], *, on_key: bool = False) -> Location:
        """Return where the value at `path` (with `on_key`: its key) was written, or else what is nearest above it."""
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
        """Return the same data, all of it written at one place."""
        value = self.value
        if isinstance(value, dict):
            value = {name: child.moved(where) for name, child in value.items()}
        elif isinstance(value, list):
            value = [child.moved(where) for child in value]
        return Node(value, where, where, self.text)


class _Loader(yaml.SafeLoader):
    """A loader of YAML 1.2's words, which stops at sections inside sections without end."""

    def __init__(self, text: str, file: str) -> None:
        super().__init__(text)
        self.file, self.depth = file, 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose what stands next, and count how deep it stands."""
        if self.depth >= DEEPEST_NESTING:
            mark: Any = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise UserErrors([UserError(TOO_DEEP, where=Location(self.file, mark.line + 1, mark.column + 1))])
        self.depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Dumper(yaml.SafeDumper):
    """The counterpart of the loader: quotes strings that it, or an older reader, would take for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """Write characters that nobody sees by their numbers."""
        return self.represent_scalar(STR, data, style='"' if UNREADABLE.search(data) else None)


_Dumper.add_representer(str, _Dumper.represent_str)
teach(_Loader, _Dumper)

DEEPEST_NESTING = 50
"""How many sections and lists may stand inside each other."""
TOO_DEEP = f"this is nested more than {DEEPEST_NESTING} levels deep"
MOST_REPEATED = 100_000
"""How many values aliases may unfold to, besides those that are written."""
UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that nobody sees or that older readers of YAML take for the end of a line."""


def parse_yaml(text: str, file: str) -> Node:
    """Return the data in a YAML 1.2 text, with positions.

    Keys are strings always, as they are written. Anchors and merge keys (`<<`) are followed.

    Args:
        text: one YAML document.
        file: what error messages call it.

    Raises:
        UserErrors: for broken YAML, for what is nested or unfolds without end, and for all duplicate keys and unknown
            tags in it.
    """
    strange = UNREADABLE.search(text)
    if strange:
        before = re.split("\r\n|\r|\n", text[: strange.start()])
        where = Location(file, len(before), len(before[-1]) + 1)
        raise UserErrors([UserError(f"the character U+{ord(strange[0]):04X} cannot stand in a recipe", where=where)])
    try:
        loader = _Loader(text, file)
        try:
            root = loader.get_single_node()
            if loader.yaml_version not in (None, (1, 2)):
                version = ".".join(map(str, loader.yaml_version))
                hint = "it reads some words otherwise; leave the %YAML line out"
                raise UserErrors(
                    [UserError(f"got YAML {version}, expected 1.2", where=Location(file, 1, 1), hint=hint)]
                )
            if root is None:
                return Node(None, Location(file))
            errors: list[UserError] = []
            node = _Reader(file, errors).read(root)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise UserErrors([syntax_error(error, file)]) from None
    if errors:
        raise UserErrors(errors)
    return node


def dump_yaml(data: Any) -> str:
    """Write plain data as YAML that `parse_yaml` reads back as it was."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


class _Reader:
    def __init__(self, file: str, errors: list[UserError]) -> None:
        self.file, self.errors = file, errors
        self.open: list[yaml.Node] = []  # to notice an alias inside its own anchor
        self.known: set[int] = set()
        self.repeated = 0
        self.latest = Location(file)  # the key that is read, aliases not followed

    def read(self, node: yaml.Node, key: yaml.Node | None = None) -> Node:
        where, key_where = self.where(node), self.where(key) if key else None
        if node in self.open:
            self.errors.append(
                UserError(
                    "this alias stands for a value that it is a part of",
                    where=key_where or where,
                    hint="write the value out",
                )
            )
            return Node(None, where, key_where)
        self.count(node, key_where or where)
        self.open.append(node)
        text = None
        if isinstance(node, yaml.MappingNode):
            value: Any = self.mapping(node)
        elif isinstance(node, yaml.SequenceNode):
            value = [self.read(item) for item in node.value]
        else:
            assert isinstance(node, yaml.ScalarNode)
            value = self.scalar(node)
            text = None if isinstance(value, str) or node.style else node.value
        self.check_tag(node)
        self.open.pop()
        return Node(value, where, key_where, text)

    def count(self, node: yaml.Node, where: Location) -> None:
        """Stop at aliases that unfold to more than anybody writes, in number or in depth."""
        again = id(node) in self.known
        self.known.add(id(node))
        self.repeated += again
        self.latest = self.latest if again else where
        if self.repeated > MOST_REPEATED:
            what = f"aliases unfold to more than {MOST_REPEATED:,} values"
            raise UserErrors([UserError(what, where=self.latest, hint="write out what is meant")])
        if len(self.open) >= DEEPEST_NESTING:
            raise UserErrors([UserError(TOO_DEEP, where=self.latest)])

    def where(self, node: yaml.Node) -> Location:
        return Location(self.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def mapping(self, node: yaml.MappingNode) -> dict[str, Node]:
        children: dict[str, Node] = {}
        inherited: dict[str, Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.errors.append(
                    UserError("got a list or a section as a key, expected a name", where=self.where(key))
                )
                continue
            name = self.text(key)
            if key.tag == MERGE:
                for base in self.merged(value):
                    inherited = {**base, **inherited}
            elif name in children:
                first = children[name].key
                self.errors.append(
                    UserError(
                        f"key {name!r} stands twice",
                        where=self.where(key),
                        hint=f"the first is in line {first.line}" if first else None,
                    )
                )
            else:
                children[name] = self.read(value, key)
        return {**inherited, **children}

    def merged(self, node: yaml.Node) -> Iterator[Mapping[str, Node]]:
        for base in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if isinstance(base, yaml.MappingNode):
                yield self.read(base).value
            else:
                self.errors.append(UserError("'<<': got no section to merge, expected one", where=self.where(base)))

    def scalar(self, node: yaml.ScalarNode) -> Plain:
        text = self.text(node)
        if node.tag == MERGE:  # a value `<<`, which merges nothing
            return text
        try:
            return value_of(node.tag, text)
        except KeyError:
            what = f"got {text!r} of type {short(node.tag)}, expected a plain value (leave the type out)"
        except ValueError as error:
            what = str(error)
        self.errors.append(UserError(what, where=self.where(node)))
        return None

    def text(self, node: yaml.ScalarNode) -> str:
        """Return a string without what no file and no path can hold; two halves of one character are put together."""
        joined: str = node.value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        lone = joined.count("\ufffd") != node.value.count("\ufffd")
        if lone or "\0" in joined:
            what = "half a character (a lone surrogate)" if lone else "the character U+0000"
            self.errors.append(UserError(f"got {what}, expected text", where=self.where(node)))
            return joined.replace("\0", "\ufffd")
        return joined

    def check_tag(self, node: yaml.Node) -> None:
        """Refuse sections and lists of other kinds (`!!set`, `!mine`), which would lose it."""
        plain: dict[type[yaml.Node], str] = {
            yaml.MappingNode: "tag:yaml.org,2002:map",
            yaml.SequenceNode: "tag:yaml.org,2002:seq",
        }
        if plain.get(type(node), node.tag) != node.tag:
            what = "a section" if isinstance(node, yaml.MappingNode) else "a list"
            self.errors.append(
                UserError(f"got {what} of type {short(node.tag)}, expected no type", where=self.where(node))
            )
