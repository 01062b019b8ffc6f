"""What `list mitigations` says of every method: where it acts, what it needs, its parameters and source."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from imgid_audit.mitigations.base import Mitigation

DEPENDS = "depends on its parameters"


def show_mitigations(*, as_json: bool) -> None:
    """Print the registered methods, as lines for a person or as JSON."""
    from imgid_audit.mitigations import MITIGATIONS

    if as_json:
        typer.echo(json.dumps([described(method) for method in MITIGATIONS], indent=2, ensure_ascii=False))
        return
    width = max(len(name) for name in MITIGATIONS.names)
    for method in MITIGATIONS:
        told = described(method)
        typer.echo(f"{method.name:<{width}}  {method.summary}")
        for line in _lines(told):
            typer.echo(f"{'':<{width}}    {line}")


def described(method: Mitigation) -> dict[str, Any]:
    """A method as JSON values; places and needs are those of the default parameters, null where there are none."""
    acts_on, needs = _by_default(method)
    return {
        "name": method.name,
        "summary": method.summary,
        "acts_on": acts_on,
        "needs": needs,
        "uses_adjust": method.uses_adjust,
        "scopes": list(method.scopes),
        "parameters": _parameters(method),
        "excludes": list(method.excludes),
        "source": method.source,
    }


def _by_default(method: Mitigation) -> tuple[list[str] | None, list[str] | None]:
    if any(field.is_required() for field in method.Params.model_fields.values()):
        return None, None
    params = method.Params.model_construct()  # of some methods the defaults alone do nothing, which validation refuses
    return list(method.acts_on(params)), sorted(method.needs(params))


def _parameters(method: Mitigation) -> list[dict[str, Any]]:
    from pydantic_core import to_jsonable_python

    return [
        {
            "name": field.alias or name,
            "required": field.is_required(),
            "default": to_jsonable_python(
                None if field.is_required() else field.get_default(call_default_factory=True)
            ),
            "description": field.description or "",
        }
        for name, field in method.Params.model_fields.items()
    ]


def _lines(told: dict[str, Any]) -> list[str]:
    def listed(values: list[str] | None) -> str:
        return DEPENDS if values is None else ", ".join(values) or "nothing"

    aside = ", rows set aside" if told["uses_adjust"] else ""
    excludes = f"; not with {', '.join(told['excludes'])}" if told["excludes"] else ""
    names = [f"{one['name']} {_default(one)}" for one in told["parameters"]]
    return [
        f"acts on: {listed(told['acts_on'])}; needs: {listed(told['needs'])}{aside}",
        f"scope: {' or '.join(told['scopes'])}{excludes}",
        f"parameters: {', '.join(names) or 'none'}",
        f"source: {told['source']}",
    ]


def _default(parameter: dict[str, Any]) -> str:
    return "(required)" if parameter["required"] else f"({json.dumps(parameter['default'], ensure_ascii=False)})"
