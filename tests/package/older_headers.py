"""older_headers.py IN OUT: the public headers of folder IN, without the last field of every struct that begins with its
size: what a program was compiled with before those fields were added."""
import pathlib
import re
import sys

STRUCT = re.compile(r"typedef struct (sal_\w+) \{\n(.*?)\n\} \1;\n", re.S)
COMMENT = re.compile(r"/\*.*?\*/", re.S)


def without_last_field(text):
    """The header and the fields that it lost, by struct."""
    lost = {}

    def shorten(match):
        name, body = match.groups()
        plain = COMMENT.sub(lambda comment: re.sub(r"\S", " ", comment.group()), body)
        ends = [found.end() for found in re.finditer(";", plain)]
        if not plain.startswith("    size_t size;") or len(ends) < 3:
            return match.group()
        lost[name] = re.search(r"(\w+)(\[\w+\])?\)?(\([^()]*\))?;$", plain[:ends[-1]]).group(1)
        return "typedef struct %s {\n%s\n} %s;\n" % (name, body[:ends[-2]], name)

    text = STRUCT.sub(shorten, text)
    for field in lost.values():
        text = re.sub(r"SAL_INIT_WITH\((\w+), \.%s = \w+\)" % field,
                      lambda found: "SAL_INIT(%s)" % found[1] if lost[found[1]] == field else found[0], text)
    return text, lost


def main(source, target):
    target.mkdir(parents=True)
    shortened = set()
    for header in source.glob("*.h"):
        text, lost = without_last_field(header.read_text())
        (target / header.name).write_text(text)
        for name, field in lost.items():
            if re.search(r"\b%s;" % field, STRUCT.search(text[text.index("typedef struct %s {" % name):])[2]):
                sys.exit("%s: %s still has %s" % (header, name, field))
        shortened |= lost.keys()
    if len(shortened) < 25:
        sys.exit("only %d structs begin with their size: %s" % (len(shortened), ", ".join(sorted(shortened))))
    print("%d structs lost their last field" % len(shortened))


main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
