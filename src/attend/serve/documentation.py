"""The OpenAPI document as a page that loads nothing from other servers."""

import json
from html import escape
from typing import Any


def documentation(document: dict[str, Any]) -> str:
    """The page. Every string of the document is escaped."""
    info = document["info"]
    parts = [
        "<h1>" + escape(f"{info['title']} {info['version']}") + "</h1>",
        f'<p>{escape(info.get("description", ""))} The document itself: <a href="/openapi.json">openapi.json</a>.</p>',
    ]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts.append(operation_html(method, path, operation, document))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>attend: interface</title>
<link rel="stylesheet" href="/explorer.css">
</head>
<body>
<main class="docs">{"".join(parts)}</main>
</body>
</html>
"""


def operation_html(method: str, path: str, operation: dict[str, Any], document: dict[str, Any]) -> str:
    parts = [
        f"<h2>{escape(method.upper())} {escape(path)}</h2>",
        f"<p><strong>{escape(operation.get('summary', ''))}.</strong> {escape(operation.get('description', ''))}</p>",
    ]
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content:
        name = content["schema"]["$ref"].rpartition("/")[2]
        parts.append(fields_html(document["components"]["schemas"][name]))
        example = json.dumps(EXAMPLES.get(path, {}), ensure_ascii=False)
        command = f"curl http://localhost:8000{path} -H 'Content-Type: application/json' -d '{example}'"
        parts.append(f"<pre>{escape(command)}</pre>")
    else:
        parts.append(f"<pre>{escape(f'curl http://localhost:8000{path}')}</pre>")
    return f"<section>{''.join(parts)}</section>"


EXAMPLES: dict[str, Any] = {
    "/v1/predict": {"inputs": ["a dog runs", "two cats sleep"], "beam": 5},
    "/v1/score": {"pairs": [{"input": "a dog runs", "output": "ein hund läuft"}]},
    "/v1/trace": {"input": "a dog runs", "beam": 4, "alternatives": 5},
    "/v1/stream": {"input": "a dog runs", "prefix": ["ein"]},
}


def fields_html(schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = []
    for name, field in schema.get("properties", {}).items():
        needed = "required" if name in required else ""
        kind = kind_of(field)
        about = field.get("description", field.get("items", {}).get("description", ""))
        cells = "".join(f"<td>{escape(text)}</td>" for text in (kind, needed, about))
        rows.append(f"<tr><th>{escape(name)}</th>{cells}</tr>")
    return f'<table class="plain-table">{"".join(rows)}</table>'


def kind_of(field: dict[str, Any]) -> str:
    if choices := field.get("anyOf", field.get("oneOf")):
        return " or ".join(kind_of(choice) for choice in choices)
    if "$ref" in field:
        return field["$ref"].rpartition("/")[2]
    if field.get("type") == "array":
        return f"list of {kind_of(field.get('items', {}))}"
    return str(field.get("type", "any"))
