"""`authz inspect`: what is in a bundle, printed as OPA prints it. What is found is `inspection`'s."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from authz.cli.inspection import Inspection, inspected
from authz.cli.loading import load
from authz.cli.output import json_line, print_json
from authz.cli.tables import table
from authz.rego.emit import emit


@click.command("inspect")
@click.argument("path", type=click.Path(path_type=Path), metavar="PATH")
@click.option("--annotations", "-a", is_flag=True, help="Also list what METADATA blocks say.")
@click.option("--format", "-f", "format_", type=click.Choice(["pretty", "json"]), default="pretty", show_default=True)
@click.option("--table", "-t", "entrypoint", metavar="ENTRYPOINT", help="Also show the decision table of a rule, as in envoy/authz/allow.")
@click.option("--v0-compatible", is_flag=True, help="Read policies as Rego v0 where nothing else is said.")
def inspect(path: Path, annotations: bool, format_: str, entrypoint: str | None, v0_compatible: bool) -> None:
    """Say what the bundle at PATH holds: an archive, its directory, or a single module. Verifies nothing."""
    version = 0 if v0_compatible else 1
    if entrypoint is not None and format_ == "json":
        raise click.UsageError("--table is text: it does not go with --format json")
    found = inspected(path, version, with_annotations=annotations)
    if format_ == "json":
        print_json(found.document())
        return
    text = "".join(_sections(found))
    if entrypoint is not None:
        source = load([path])
        text += "TABLE:\n" + emit("tables", source.modules, source.data, source.versions(version), (entrypoint,)).rstrip("\n") + "\n"
    click.echo(text, nl=False)


def _sections(found: Inspection) -> Iterator[str]:
    rows = list(_manifest_rows(found.manifest))
    if rows:
        yield "MANIFEST:\n" + table(("FIELD", "VALUE"), rows)
    if found.patch:
        yield "PATCH:\n" + table(("OPERATION", "PATH"), found.patch)
    if found.namespaces:
        yield "NAMESPACES:\n" + table(("NAMESPACE", "FILE"), _namespace_rows(found.namespaces))
    if found.signature:
        yield "SIGNATURE:\n" + table(("FIELD", "VALUE"), found.signature)
    if found.annotations:
        yield "ANNOTATIONS:\n"
        for annotation in found.annotations:
            yield "".join(f"{line}\n" for line in _annotation_lines(annotation))


def _manifest_rows(manifest: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "rego_version" in manifest:
        yield "Rego Version", str(manifest["rego_version"])
    if manifest.get("revision"):
        yield "Revision", manifest["revision"]
    if manifest.get("roots", [""]) != [""]:
        for index, root in enumerate(manifest["roots"]):
            yield "" if index else "Roots", root
    if manifest.get("metadata"):
        yield "Metadata", json_line(dict(sorted(manifest["metadata"].items())))


def _namespace_rows(namespaces: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    for name, files in sorted(namespaces.items()):
        for index, file in enumerate(files):
            yield "" if index else name, file


def _annotation_lines(found: dict[str, Any]) -> Iterator[str]:
    about = found["annotations"]
    steps = [str(step["value"]) for step in found["path"]][1:]
    title = about.get("title") or ".".join(steps)
    yield from (title, "=" * len(title), "")
    if about.get("description"):
        yield from (about["description"], "")
    is_rule = about["scope"] in ("rule", "document")
    yield f"Package:  {'.'.join(steps[:-1] if is_rule else steps)}"
    if is_rule:
        yield f"Rule:     {steps[-1]}"
    yield f"Location: {found['location']['file']}:{found['location']['row']}"
    yield f"Scope: {about['scope']}"
    if about.get("entrypoint"):
        yield "Entrypoint: true"
    yield ""
    yield from _lists(about)


def _lists(about: dict[str, Any]) -> Iterator[str]:
    """Yield the parts of an annotation that have several lines."""
    sections = {
        "Organizations": list(map(str, about.get("organizations", ()))),
        "Authors": [
            f"{each.get('name', '')} <{each['email']}>" if each.get("email") else each["name"] for each in about.get("authors", ())
        ],
        "Schemas": [_schema(each) for each in about.get("schemas", ())],
        "Related Resources": [f"{each['ref']} {each.get('description', '')}".rstrip() for each in about.get("related_resources", ())],
        "Custom": [f"{key}: {json_line(value)}" for key, value in sorted(about.get("custom", {}).items())],
    }
    for name, lines in sections.items():
        if lines:
            yield from (f"{name}:", *(f" {line}" for line in lines), "")


def _schema(schema: dict[str, Any]) -> str:
    def text(ref: list[dict[str, Any]]) -> str:
        return ".".join(str(step["value"]) for step in ref)

    return f"{text(schema['path'])}: {text(schema['schema']) if 'schema' in schema else json_line(schema.get('definition'))}"
