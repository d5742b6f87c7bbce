"""Where the arithmetic of a C file can be broken, one operator, constant or statement at a time: for mutate.py.

It reads tokens, no syntax: what it takes for an operator and is none (the star of a declaration) gives a mutant that does not
compile. Left out by rule, and counted:

  - arguments of allocations: memory cannot be made to run out, and the size of a buffer shows under a sanitizer alone
  - calls that only free memory
  - sizes of arrays
  - tables between "clang-format off" and "on", and colormap_tables.c
  - lines of the preprocessor, which are not counted either"""
import collections
import re

TABLES = ("src/map/colormap_tables.c",)
TOKEN = re.compile(r"""(?P<comment>/\*.*?\*/|//[^\n]*)|(?P<line>^[ \t]*\#(?:\\\n|[^\n])*)
    |(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    |(?P<number>(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)[uUlLfF]*)|(?P<name>[A-Za-z_]\w*)
    |(?P<sign><<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|[^\s\w])""", re.S | re.M | re.X)
SWAPS = {"+": "-", "-": "+", "*": "/", "/": "*", "%": "*", "&": "|", "|": "&", "<<": ">>", ">>": "<<", "&&": "||", "||": "&&",
         "+=": "-=", "-=": "+=", "*=": "/=", "/=": "*=", "%=": "*=", "&=": "|=", "|=": "&=", "++": "--", "--": "++",
         "<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<"), "==": "!=", "!=": "=="}
AFTER_OPERAND = ("+", "-", "*", "/", "%", "&", "|", "<<", ">>", "<")  # elsewhere they are no binary operators
TYPE = re.compile(r"(?:(?:const|unsigned|struct|void|char|int|float|double|\w+_t|sal_\w+)\b\s*|\*\s*)+")
KEYWORDS = ("return", "goto", "if", "else", "for", "while", "do", "switch", "case", "default", "sizeof", "typedef", "static",
            "const", "struct", "enum", "extern")
ALLOCATIONS = re.compile(r"sal_alloc|sal_size_mul|sal_size_add|sal_grow|calloc|malloc|realloc|sal_fail_memory")
RELEASES = re.compile(r"(?:\w*_)?(?:free|close|clear|release|finalize|destroy)|drop_\w+|return_freed_memory|malloc_trim")

Token = collections.namedtuple("Token", "kind text start end")
Mutant = collections.namedtuple("Mutant", "file line function start end text kind before after")


def tokens_of(text):
    off = [(m.start(), m.end()) for m in re.finditer(r"/\* clang-format off \*/.*?/\* clang-format on \*/", text, re.S)]
    tokens, tables = [], 0
    for m in TOKEN.finditer(text):
        if m.lastgroup == "comment" or m.lastgroup == "line":
            continue
        if any(a <= m.start() < b for a, b in off):
            tables += m.lastgroup == "number"
            continue
        tokens.append(Token(m.lastgroup, m.group(), m.start(), m.end()))
    return tokens, tables


def partners(tokens):
    """Index of the bracket that belongs to the bracket at each index."""
    pairs, open_ = {}, []
    for i, t in enumerate(tokens):
        if t.kind == "sign" and t.text in "([{":
            open_.append(i)
        elif t.kind == "sign" and t.text in ")]}" and open_:
            pairs[i] = open_.pop()
            pairs[pairs[i]] = i
    return pairs


class Source:
    """A file's mutants."""

    def __init__(self, root, path):
        self.path = path
        self.name = str(path.relative_to(root))
        self.text = path.read_text()
        self.left_out = collections.Counter()
        self.mutants = []
        if self.name in TABLES:
            return
        self.tokens, self.left_out["tables"] = tokens_of(self.text)
        self.pairs = partners(self.tokens)
        self.allocations = [(i + 1, self.pairs[i + 1]) for i, t in enumerate(self.tokens)
                            if ALLOCATIONS.fullmatch(t.text) and self.is_sign(i + 1, "(")]
        for i in range(1, len(self.tokens)):
            self.visit(i)
        self.visit_statements()

    def is_sign(self, i, text):
        return 0 <= i < len(self.tokens) and self.tokens[i].text == text

    def add(self, i, start, end, new, kind):
        if any(a < i < b for a, b in self.allocations):
            self.left_out["allocations"] += 1
            return
        line = self.text.count("\n", 0, start) + 1
        first = self.text.rfind("\n", 0, start) + 1
        last = self.text.find("\n", end)
        named = re.findall(r"^\w[^\n;]*?(\w+)\(", self.text[:first], re.M)
        after = self.text[first:start] + new + self.text[end:last]
        self.mutants.append(Mutant(self.name, line, named[-1] if named else "", start, end,
                                   new + "\n" * self.text.count("\n", start, end), kind,
                                   " ".join(self.text[first:last].split()), " ".join(after.split())))

    def ends_operand(self, i):
        """Whether a binary operator may follow token i: a name, a number, or a bracket that closes no cast."""
        t = self.tokens[i]
        if t.text in KEYWORDS or TYPE.fullmatch(t.text):
            return False
        if t.text == ")" and i in self.pairs:
            opened = self.pairs[i]
            cast = TYPE.fullmatch(self.text[self.tokens[opened].end:t.start])
            return not cast or self.tokens[opened - 1].kind == "name"
        return t.kind in ("name", "number") or t.text == "]"

    def declares_array(self, i):
        """Whether the bracket at token i opens the size of a declared array, in any of its dimensions."""
        i -= 1
        while self.tokens[i].text == "]":
            i = self.pairs[i] - 1
        return self.tokens[i].kind == "name" and \
            (self.tokens[i - 1].kind == "name" and self.tokens[i - 1].text not in KEYWORDS[:10] or
             self.tokens[i - 1].text == "*" and self.tokens[i - 2].kind == "name")

    def visit(self, i):
        t, before = self.tokens[i], self.tokens[i - 1]
        if t.kind == "number":
            if before.text == "[" and self.declares_array(i - 1):
                self.left_out["array sizes"] += 1
                return
            negative = before.text == "-" and not self.ends_operand(i - 2)
            self.add(i, t.start, t.end, "0" if negative else other_number(t.text), "constant")
        elif t.text == "!":
            self.add(i, t.start, t.end, "", "not")
        elif t.text == "?":
            self.visit_choice(i)
        elif t.text in ("if", "while") and self.is_sign(i + 1, "("):
            self.visit_condition(i + 1)
        elif t.kind == "sign" and t.text in SWAPS:
            if t.text not in AFTER_OPERAND or self.ends_operand(i - 1):
                new = SWAPS[t.text]
                for n in new if isinstance(new, tuple) else (new,):
                    self.add(i, t.start, t.end, n, "operator")
            elif t.text == "-":
                self.add(i, t.start, t.end, "", "minus")

    def visit_condition(self, i):
        """A condition of a name alone has no operator to change: it is negated."""
        inner = self.tokens[i + 1:self.pairs[i]]
        if all(t.kind == "name" or t.text in ("->", ".", "[", "]", "*") for t in inner):
            self.add(i, self.tokens[i].end, self.tokens[i].end, "!", "condition")

    def visit_choice(self, i):
        """c ? a : b becomes c ? b : a."""
        j, colon, nested = i + 1, None, 0
        while j < len(self.tokens):
            text = self.tokens[j].text
            if text in ("(", "[", "{"):
                j = self.pairs[j]
            elif text == "?":
                nested += 1
            elif text == ":" and nested:
                nested -= 1
            elif text == ":" and colon is None:
                colon = j
            elif text in (")", "]", "}", ",", ";", ":"):
                break
            j += 1
        if colon is None:
            return
        part = lambda a, b: self.text[self.tokens[a].start:self.tokens[b].end]
        self.add(i, self.tokens[i + 1].start, self.tokens[j - 1].end,
                 f"{part(colon + 1, j - 1)} : {part(i + 1, colon - 1)}", "choice")

    def visit_statements(self):
        start = 0
        for i, t in enumerate(self.tokens):
            if t.text in ("{", "}", ":") or t.text == "else" or \
                    t.text == ")" and self.tokens[self.pairs.get(i, 0) - 1].text in ("if", "for", "while", "switch"):
                start = i + 1
            elif t.text == ";":
                self.visit_statement(start, i)
                start = i + 1

    def visit_statement(self, start, end):
        first = self.tokens[start]
        inside = any(self.tokens[a].text == "(" and a < start <= b for a, b in self.pairs.items())
        second = self.tokens[start + 1]
        declares = first.kind == "name" and (second.kind == "name" or second.text == "*")
        if start >= end or inside or first.text in KEYWORDS or declares or first.text in ("++", "--") or \
                (first.kind != "name" and first.text not in ("*", "(")):
            return
        called = self.tokens[start + 2] if first.text == "TRY" else first
        if second.text == "(" and RELEASES.fullmatch(called.text):
            self.left_out["frees"] += 1
        elif second.text == "(" and ALLOCATIONS.fullmatch(called.text):
            self.left_out["allocations"] += 1
        else:
            self.add(start, first.start, self.tokens[end - 1].end, "", "statement")


def other_number(text):
    """A number nearby: 0 becomes 1, n becomes n + 1, a float changes by a hundredth, a tiny one by its double."""
    m = re.fullmatch(r"(0[xX][0-9a-fA-F]+|[0-9.]+(?:[eE][+-]?\d+)?)([uUlLfF]*)", text)
    body, suffix = m.groups()
    if body.lower().startswith("0x"):
        return f"{int(body, 16) + 1:#x}{suffix}"
    if re.fullmatch(r"\d+", body):
        return f"{int(body) + 1}{suffix}"
    value = float(body)
    value = 0.01 if value == 0.0 else value * 2.0 if value < 1e-3 else value * 1.01
    return f"{value!r}{suffix}"
