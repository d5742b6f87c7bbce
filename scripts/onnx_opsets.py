#!/usr/bin/env python3
"""Writes in which opsets each accepted file of tests/golden/onnx would mean the same.

    onnx_opsets.py tests/golden/onnx/opsets.txt

A line "NAME FIRST LAST" for each: all its ops have the same attributes, inputs and outputs from FIRST to LAST, the newest
opset of the `onnx` package, so a file that only says another one of these must be read and compute the same. Run it with
the newest onnx (in an environment of its own), once a new opset is out; it also says which ops that salmap reads changed
in the last ones, which is what to look at before MAX_OPSET of src/import/onnx/flatten_functions.c is raised."""
import argparse
import pathlib
import re

import onnx
from onnx import defs

HANDLERS = pathlib.Path(__file__).resolve().parent.parent / "src/import/onnx/lower/handlers.c"
OLDEST, NEWEST = 6, defs.onnx_opset_version()
OTHER_MEANING = {"Mod": {28}}  # what the schemas do not show: a remainder of floats with the divisor's sign


def history():
    found = {}
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "":
            found.setdefault(schema.name, {})[schema.since_version] = schema
    return found


def signature(schema):
    attributes = {n: (str(a.type), a.required, a.default_value.SerializeToString()) for n, a in schema.attributes.items()}
    return attributes, [str(i.option) for i in schema.inputs], len(schema.outputs)


def same_as(schemas, op, opset):
    """First and last opset in which the op is as it is in this one."""
    versions = schemas.get(op)
    if not versions or min(versions) > opset:
        return None
    at = max(v for v in versions if v <= opset)
    alike = lambda a, b: signature(versions[a]) == signature(versions[b]) and b not in OTHER_MEANING.get(op, ())
    first = at
    for v in sorted((v for v in versions if v < at), reverse=True):
        if not alike(v, first):
            break
        first = v
    last = NEWEST
    for before, v in zip(sorted(versions), sorted(versions)[1:]):
        if v > at and not alike(before, v):
            last = v - 1
            break
    return max(first, OLDEST), last


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("out", type=pathlib.Path, help="opsets.txt, beside the folder of accepted files")
    out = parser.parse_args().out
    schemas, lines = history(), []
    for path in sorted((out.parent / "accepted").glob("*.onnx")):
        model = onnx.load(str(path), load_external_data=False)
        opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        ranges = [same_as(schemas, n.op_type, opset) for n in model.graph.node if n.domain in ("", "ai.onnx")]
        known = [r for r in ranges if r]
        if len(known) < len(ranges):
            known.append((opset, opset))
        lines.append("%s %d %d\n" % (path.stem, max([OLDEST] + [r[0] for r in known]), min([NEWEST] + [r[1] for r in known])))
    out.write_text("".join(lines))
    for op in re.findall(r'\{"(\w+)", onnx_', HANDLERS.read_text()):
        for v in sorted(schemas.get(op, {})):
            if v > 21 and same_as(schemas, op, v)[0] >= v:
                print("%s: other attributes, inputs or meaning from opset %d on" % (op, v))


main()
