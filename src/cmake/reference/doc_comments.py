"""doc_comments.py HEADER: a public header as Doxygen reads it, line for line: its INPUT_FILTER.

The headers are written for people who read them, with plain comments: one above what it is about, or one behind a field,
a value or a declaration; a section begins with a line of dashes. This makes Doxygen's own comments of them, whose words
mean what they say: there are no commands and no mark-up in a header. Lines of a comment that are set in, as in a table,
keep their columns."""
import os
import re
import sys

COMMENT = re.compile(r"/\*.*?\*/", re.S)
SECTION = re.compile(r"/\* ---- (.*?) -+ \*/")
INIT = re.compile(r"^(#define SAL_\w+_INIT(?: +\\\n)? +SAL_INIT(?:_WITH(?:_TWO)?)?\((\w+).*)$", re.M)
SET_IN = re.compile(r" \*  +")


def escaped(text):
    """Words that mean themselves: no tag, no command, no link."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\@#%])", r"\\\1", text)


def of_words(words, begins):
    lines, is_set_in = [], False
    for line in words.split("\n"):
        if bool(SET_IN.match(line)) != is_set_in:
            is_set_in = not is_set_in
            if is_set_in:
                lines[-1] += " @verbatim"
            else:
                line = " * @endverbatim" + line[2:]
        lines.append(line if is_set_in or "@endverbatim" in line else escaped(line))
    return begins + "\n".join(lines) + (" @endverbatim " if is_set_in else "") + "*/"


def of_section(title):
    name = re.sub(r"\W+", "_", title.lower()).strip("_")
    return "/** @defgroup %s %s" % (name, escaped(title))


def is_of_section(text, found):
    """The first comment of a section is about all of it where no declaration follows at once."""
    return re.search(r"-+ \*/\n\n$", text[:found.start()]) and re.match(r"\n[\n#]", text[found.end():])


def main():
    with open(sys.argv[1], encoding="utf-8") as header:
        text = INIT.sub(r"\1 /* Begins a \2: its size and its defaults. */", header.read())
    out, at, ends = "", 0, ""
    for found in COMMENT.finditer(text):
        out += text[at:found.start()]
        words = found.group()[2:-2]
        title = SECTION.fullmatch(found.group())
        if at == 0:
            out += of_words(words, "/** @file " + os.path.basename(sys.argv[1]))
        elif title:
            out += ends + of_section(title.group(1)) + " */ /** @{ */"
            ends = "/** @} */ "
        elif is_of_section(text, found):
            out = out.removesuffix(" */ /** @{ */\n\n") + "\n\n" + of_words(words, "") + " /** @{ */"
        else:
            is_behind = text[text.rfind("\n", 0, found.start()) + 1:found.start()].strip()
            out += of_words(words, "/**< " if is_behind else "/** ")
        at = found.end()
    print(out + text[at:] + ends)


main()
