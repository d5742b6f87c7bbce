"""Checks values against the JSON Schemas of data/schema: as much of JSON Schema as those say, and no word that is not
known here. Fields that a schema does not name are refused, though it allows them: they would be undocumented."""

import json
import os
import re

from harness import SOURCE

TYPES = {"object": dict, "array": list, "string": str, "null": type(None)}
KNOWN = {"$schema", "title", "description", "$defs", "$ref", "oneOf", "type", "required", "properties",
         "additionalProperties", "items", "enum", "const", "minimum", "pattern"}


def load(name):
    with open(os.path.join(SOURCE, "data/schema", name + ".schema.json"), encoding="utf-8") as f:
        return json.load(f)


def is_of(value, name):
    if name == "boolean":
        return isinstance(value, bool)
    if name in ("integer", "number"):
        return isinstance(value, int if name == "integer" else (int, float)) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def equal(a, b):
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def of_object(value, schema, whole, at):
    known = schema.get("properties", {})
    wrong = [at + ": there is no " + name for name in schema.get("required", ()) if name not in value]
    for name, item in value.items():
        rule = known.get(name, schema.get("additionalProperties"))
        wrong += [at + ": nothing says what " + name + " is"] if rule is None else faults(item, rule, whole, at + "." + name)
    return wrong


def faults(value, schema, whole=None, at="it"):
    """What is wrong with a value, a line each."""
    whole = whole or schema
    assert set(schema) <= KNOWN, set(schema) - KNOWN
    if "$ref" in schema:
        return faults(value, whole["$defs"][re.fullmatch(r"#/\$defs/(\w+)", schema["$ref"])[1]], whole, at)
    if "oneOf" in schema:
        each = [faults(value, one, whole, at) for one in schema["oneOf"]]
        fine = each.count([])
        return [] if fine == 1 else ["%s: %d of its forms fit: %s" % (at, fine, min(filter(None, each), key=len))]
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(is_of(value, name) for name in types):
        return ["%s: %r is none of %s" % (at, value, types)]
    wrong = []
    if "const" in schema and not equal(value, schema["const"]):
        wrong.append("%s: %r is not %r" % (at, value, schema["const"]))
    if "enum" in schema and not any(equal(value, one) for one in schema["enum"]):
        wrong.append("%s: %r is none of %s" % (at, value, schema["enum"]))
    if "minimum" in schema and value is not None and not value >= schema["minimum"]:
        wrong.append("%s: %r is less than %r" % (at, value, schema["minimum"]))
    if "pattern" in schema and not re.search(schema["pattern"], value):
        wrong.append("%s: %r does not match %s" % (at, value, schema["pattern"]))
    if isinstance(value, dict) and types:
        wrong += of_object(value, schema, whole, at)
    for i, item in enumerate(value if isinstance(value, list) and "items" in schema else ()):
        wrong += faults(item, schema["items"], whole, "%s[%d]" % (at, i))
    return wrong
