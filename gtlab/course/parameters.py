"""The parameters of a tour: the variables of a notebook's cell tagged ``parameters``, and what they are set to."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

TRUE, FALSE = {"true", "1", "yes"}, {"false", "0", "no"}


class TourError(ValueError):
    """The tour cannot start as asked; the text says why and what there is instead."""


def check_parameters(notebooks: Sequence[Path], params: Mapping[str, Any]) -> dict[str, Any]:
    """`params` with every value converted to the type that the notebooks declare; fit for run().

    Known are the variables of a notebook's cell tagged `parameters`. Strings are converted by the
    annotation there, or else by the type of the default; `list` takes "a,b" or a JSON array; a `str`
    stays one even when it looks like a number. Values that are no strings pass unchanged.
    Raises TourError for a name that none of the notebooks knows, for a value that does not convert,
    and for a parameter that two notebooks declare with different types.
    """
    declared = {path: _declared(path) for path in notebooks} if params else {}
    return {name: _checked(name, value, declared) for name, value in params.items()}


def share(path: Path, params: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `params` that the notebook has: papermill would inject the others too."""
    known = _declared(path) if params else {}
    return {name: value for name, value in params.items() if name in known}


def _checked(name: str, value: Any, declared: Mapping[Path, Mapping[str, Mapping[str, str]]]) -> Any:
    kinds = {_type_name(known[name]): path.stem for path, known in declared.items() if name in known}
    if not kinds:
        raise TourError(_unknown_parameter(name, declared))
    if len(kinds) > 1:
        both = ", ".join(f"{kind} in {stem}" for kind, stem in kinds.items())
        raise TourError(f"Parameter {name!r} is declared as {both}: run them apart.")
    return _convert(name, value, *kinds)


def _declared(path: Path) -> dict[str, dict[str, str]]:
    """papermill's view of a notebook's parameters: name → inferred_type_name, default, help."""
    import papermill

    try:
        return papermill.inspect_notebook(str(path))
    except Exception as error:  # papermill and nbformat raise a dozen kinds for a file that is no notebook
        raise TourError(f"{path} cannot be read as a notebook: {first_line(error)}") from error


def _unknown_parameter(name: str, declared: Mapping[Path, Mapping[str, Any]]) -> str:
    lines = [f"No notebook of this tour has a parameter called {name!r}. Known:"]
    lines += [f"  {path.stem}: {', '.join(known) or 'none'}" for path, known in declared.items()]
    return "\n".join(lines)


def _convert(name: str, value: Any, kind: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return CONVERTERS.get(kind, str)(value)
    except ValueError:
        hint = " (say true or false)" if kind == "bool" else ""
        raise TourError(f"Parameter {name!r} takes a value of type {kind}, not {value!r}{hint}.") from None


def _type_name(declared: Mapping[str, str]) -> str:
    """The annotated type without its brackets; without an annotation, the type of the default."""
    annotation = declared["inferred_type_name"]
    if annotation != "None":
        return annotation.partition("[")[0].strip()
    try:
        return type(ast.literal_eval(declared["default"])).__name__
    except (ValueError, SyntaxError):
        return "str"


def _bool(text: str) -> bool:
    word = text.strip().lower()
    if word not in TRUE | FALSE:
        raise ValueError(text)
    return word in TRUE


def _list(text: str) -> list[Any]:
    if text.lstrip().startswith("["):
        return json.loads(text)
    return [part.strip() for part in text.split(",") if part.strip()]


CONVERTERS: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "bool": _bool, "list": _list}


def first_line(error: object) -> str:
    return (str(error).strip().splitlines() or [""])[0]
