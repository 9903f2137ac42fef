"""Strategic merge patch: merge patch that knows from the schema which lists merge, and by which key.

Semantics and words are those of apimachinery's strategicpatch. Neither argument is changed.
"""

from collections.abc import Sequence
from typing import Any

from kubernaut.localcluster.nodes import ANY, Node

Obj = dict[str, Any]

_DIRECTIVE = "$patch"
_DELETE_ITEMS, _ORDER, _RETAIN = "$deleteFromPrimitiveList", "$setElementOrder", "$retainKeys"


class StrategicError(ValueError):
    """The patch cannot be applied (the API server's 500 without a reason)."""


class StrategicFormatError(StrategicError):
    """A directive has a wrong form (the API server's 400)."""


def strategic_patch(obj: Obj, patch: Obj, schema: Node) -> Obj:
    """Apply a strategic merge patch; `schema` is `Schema.node` of the kind. Raises StrategicError."""
    return _merge_map(obj, patch, schema)


def _merge_map(original: Obj, patch: Obj, node: Node) -> Obj:
    """Merge one object."""
    if _DIRECTIVE in patch:
        return _directed(patch)
    result, rest = _retained(original, patch)
    result, rest = _ordered(result, rest, node)
    for key, value in rest.items():
        name, deleting = _target(key)
        if value is None:
            result.pop(name, None)
        elif name in result:
            result[name] = _merge_value(result[name], value, node.member(name) or ANY, deleting=deleting)
        elif not deleting:
            result[name] = _plain(value)
    return result


def _directed(patch: Obj) -> Obj:
    """Carry out `$patch` of an object."""
    if patch[_DIRECTIVE] == "replace":
        return {key: _plain(value) for key, value in patch.items() if key != _DIRECTIVE}
    if patch[_DIRECTIVE] == "delete":
        return {}
    raise StrategicError(f"unknown patch type: {patch[_DIRECTIVE]} in map: {_go(patch)}")


def _target(key: str) -> tuple[str, bool]:
    """Tell which member a patch key is about, and whether it lists items to delete."""
    if not key.startswith(_DELETE_ITEMS):
        return key, False
    prefix, slash, name = key.partition("/")
    if prefix != _DELETE_ITEMS or not slash:
        raise StrategicFormatError("patch format error: deleteFromPrimitiveList directive")
    return name, True


def _merge_value(original: Any, value: Any, node: Node, *, deleting: bool) -> Any:
    """Merge a member that is on both sides; a value of another type replaces."""
    if isinstance(original, dict) and isinstance(value, dict):
        if "replace" in node.strategies:
            return _plain(value)
        return _merge_map(original, value, node)
    if isinstance(original, list) and isinstance(value, list):
        if deleting:
            return [item for item in original if item not in value]
        return _merge_list(original, value, node) if "merge" in node.strategies else _plain(value)
    return original if deleting else _plain(value)


def _plain(value: Any) -> Any:
    """Take a patch value as it is, without nulls in objects and without directives."""
    if isinstance(value, dict):
        return {
            key: _plain(item)
            for key, item in value.items()
            if item is not None and not key.startswith((_DIRECTIVE, _DELETE_ITEMS, _ORDER, _RETAIN))
        }
    if isinstance(value, list):
        items = [item for item in value if not (isinstance(item, dict) and item.get(_DIRECTIVE) == "delete")]
        return [_plain(item) for item in items]
    return value


def _retained(original: Obj, patch: Obj) -> tuple[Obj, Obj]:
    """Carry out `$retainKeys`: what it does not list goes."""
    if _RETAIN not in patch:
        return dict(original), patch
    kept, rest = patch[_RETAIN], {key: value for key, value in patch.items() if key != _RETAIN}
    unlisted = [
        key
        for key, value in rest.items()
        if value is not None and not key.startswith("$") and (not isinstance(kept, list) or key not in kept)
    ]
    if not isinstance(kept, list) or unlisted:
        raise StrategicFormatError("invalid patch format of retainKeys")
    return {key: value for key, value in original.items() if key in kept}, rest


def _ordered(original: Obj, patch: Obj, node: Node) -> tuple[Obj, Obj]:
    """Carry out `$setElementOrder`: merge these lists now, then put their items in the order asked for."""
    rest = {key: value for key, value in patch.items() if not key.startswith(_ORDER)}
    for key in patch:
        if not key.startswith(_ORDER):
            continue
        name, order = key.partition("/")[2], patch[key]
        if not name or not isinstance(order, list):
            raise StrategicFormatError("invalid patch format of setElementOrder list")
        before, asked = original.get(name), rest.pop(name, None)
        below = node.member(name) or ANY
        merged = _either(before, asked, below)
        if merged is not None:
            _check_order(asked or [], order, below.merge_key)
            original[name] = _sort_items(merged, order, before or [], below.merge_key)
    return original, rest


def _either(before: Any, asked: Any, node: Node) -> list[Any] | None:
    if before is None or asked is None:
        found = before if asked is None else _plain(asked)
        return list(found) if isinstance(found, list) else None
    merged = _merge_value(before, asked, node, deleting=False)
    return list(merged) if isinstance(merged, list) else None


def _check_order(asked: Sequence[Any], order: Sequence[Any], key: str) -> None:
    """Refuse an order that does not name the patch's items in their sequence."""
    wanted = [_identity(item, key) for item in asked if not (isinstance(item, dict) and _DIRECTIVE in item)]
    places = iter([_identity(item, key) for item in order])
    if order and not all(item in places for item in wanted):
        raise StrategicError(f"The order in patch list:\n{_go(list(asked))}\n doesn't match {_ORDER} list:\n{_go(list(order))}\n")


def _merge_list(original: list[Any], patch: list[Any], node: Node) -> list[Any]:
    """Merge a list: objects by merge key, texts and numbers as a set; patch items keep their order among themselves."""
    sample = next(iter([*patch, *original]), None)
    if not isinstance(sample, dict):
        merged = list(dict.fromkeys([*original, *patch]))
        return _sort_items(merged, patch, original, "")
    key = node.merge_key
    remaining, plain, replaced = _special(original, patch, key)
    if replaced:
        return plain
    return _sort_items(_merge_items(remaining, plain, key, node.items), plain, original, key)


def _special(original: list[Any], patch: list[Any], key: str) -> tuple[list[Any], list[Any], bool]:
    """Carry out `$patch` of list items: give what is left of the original, the ordinary patch items, and whether they replace it all."""
    remaining, plain, replaced = list(original), [], False
    for item in patch:
        directive = item.get(_DIRECTIVE) if isinstance(item, dict) else None
        if directive is None:
            plain.append(item)
        elif directive == "delete":
            remaining = _without_item(remaining, item, key)
        elif directive == "replace":
            replaced = True
        elif directive == "merge":
            raise StrategicError("merging lists cannot yet be specified in the patch")
        else:
            raise StrategicError(f"unknown patch type: {directive} in map: {_go(item)}")
    return remaining, [_plain(item) for item in plain] if replaced else plain, replaced


def _without_item(items: list[Any], directive: Obj, key: str) -> list[Any]:
    if not key:
        raise StrategicError("delete patch type with no merge key defined")
    if key not in directive:
        raise StrategicError(_no_key(directive, key))
    return [item for item in items if not (isinstance(item, dict) and item.get(key) == directive[key])]


def _no_key(item: Any, key: str) -> str:
    return f"map: {_go(item)} does not contain declared merge key: {key}"


def _merge_items(items: list[Any], patch: list[Any], key: str, node: Node) -> list[Any]:
    """Merge each patch item into the item with its key, or add it."""
    merged = list(items)
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise StrategicError(_no_key(item, key))
        index = next((at for at, old in enumerate(merged) if isinstance(old, dict) and old.get(key) == item[key]), None)
        if index is None:
            merged.append(_merge_map({}, item, node))
        else:
            merged[index] = _merge_map(merged[index], item, node)
    return merged


def _identity(item: Any, key: str) -> Any:
    return item.get(key) if key and isinstance(item, dict) else item


def _sort_items(items: list[Any], order: Sequence[Any], live: Sequence[Any], key: str) -> list[Any]:
    """Put items in the order asked for; others, known only to the server, go between them as they stood in the live list."""
    asked = [_identity(item, key) for item in order]
    lived = [_identity(item, key) for item in live]
    named = sorted((item for item in items if _identity(item, key) in asked), key=lambda item: asked.index(_identity(item, key)))
    others = [item for item in items if _identity(item, key) not in asked]
    result: list[Any] = []
    for item in named:
        while others and _stood_before(_identity(others[0], key), _identity(item, key), lived):
            result.append(others.pop(0))
        result.append(item)
    return [*result, *others]


def _stood_before(left: Any, right: Any, lived: list[Any]) -> bool:
    return left in lived and right in lived and lived.index(left) < lived.index(right)


def _go(value: Any) -> str:
    """Write a value as Go's %v does."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{_go(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(_go, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "<nil>" if value is None else str(value)
