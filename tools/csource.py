"""Reads C sources without a compiler: what the gates in this folder need and no more.

A file is blanked (comments, strings and character constants become spaces of the same length, so
offsets and line numbers stay true), then functions, structs and includes are found in it.
"""
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent

_TOKENS = re.compile(
    r"""//[^\n]*(?:\\\n[^\n]*)*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S)
_DIRECTIVE = re.compile(r"^[ \t]*#[ \t]*(\w+)(?:\\\n|[^\n])*", re.M)
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
_DECISION = re.compile(r"\b(?:if|for|while|case)\b|&&|\|\||\?")
_IDENT_PAREN = re.compile(r"([A-Za-z_]\w*)\s*\(")
_STRUCT = re.compile(r"\b(?:struct|union)\b((?:\s*__attribute__\s*\(\(.*?\)\))*)\s*(\w+)?\s*\{")
_ATTRIBUTE = re.compile(
    r"__attribute__\s*\(\(.*?\)\)\s*|__extension__\s*|\b[A-Z][A-Z0-9_]+\s*\([^()]*\)", re.S)
_NOT_A_NAME = {"if", "for", "while", "switch", "return", "sizeof", "__attribute__", "_Alignas",
               "_Static_assert", "defined", "__typeof__", "typeof"}


def _spaces(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def blank(text, keep_strings=False):
    """`text` with comments (and strings, unless they are kept) overwritten by spaces."""
    def one(match):
        if keep_strings and match.group(0)[0] in "\"'":
            return match.group(0)
        return _spaces(match)
    return _TOKENS.sub(one, text)


class Function:
    def __init__(self, name, line, end_line, body, is_static):
        self.name, self.line, self.end_line = name, line, end_line
        self.body, self.is_static = body, is_static
        self.lines = end_line - line + 1


class Struct:
    def __init__(self, name, line, members):
        self.name, self.line, self.members = name, line, members


def _find_close(text, start):
    """Offset of the brace that closes the one at `start`, or the end of the text."""
    depth = 0
    for match in re.compile(r"[{}]").finditer(text, start):
        depth += 1 if match.group(0) == "{" else -1
        if depth == 0:
            return match.start()
    return len(text) - 1


def _without_directives(code):
    """Blanks preprocessor lines. Of #if … #else … #endif only the first branch is kept where a
    branch opens more braces than it closes, so that the braces of the file stay in balance."""
    out = list(code)
    stack = []  # (start of the branch's text, keep it)
    for match in _DIRECTIVE.finditer(code):
        word = match.group(1)
        if word.startswith("if"):
            stack.append([match.end(), False])
        elif word in ("else", "elif", "endif") and stack:
            start, first_unbalanced = stack[-1]
            branch = code[start:match.start()]
            unbalanced = branch.count("{") != branch.count("}")
            if first_unbalanced:
                out[start:match.start()] = _spaces(re.match(r".*", branch, re.S))
            if word == "endif":
                stack.pop()
            else:
                stack[-1] = [match.end(), first_unbalanced or unbalanced]
        out[match.start():match.end()] = _spaces(match)
    return "".join(out)


def _function_head(head):
    """The function's name and its offset in `head`, the text before an opening brace."""
    clean = _ATTRIBUTE.sub(_spaces, head).rstrip()
    if "=" in re.sub(r"\(.*\)", "", clean, flags=re.S):
        return None
    first_paren = None
    for match in _IDENT_PAREN.finditer(clean):
        if match.group(1) not in _NOT_A_NAME:
            first_paren = match
            break
    if first_paren is None or re.match(r"\s*typedef\b", clean):
        return None
    # `name(args)` then nothing but macro attributes.
    depth, pos = 0, first_paren.end() - 1
    for pos in range(first_paren.end() - 1, len(clean)):
        depth += {"(": 1, ")": -1}.get(clean[pos], 0)
        if depth == 0:
            break
    if depth or not re.fullmatch(r"[\s\w]*", clean[pos + 1:]):
        return None
    return first_paren.group(1), first_paren.start()


def functions(code):
    """The function definitions of blanked code, in order."""
    code = _without_directives(code)
    found, start = [], 0
    for match in re.compile(r"[;{}]").finditer(code):
        if match.start() < start:
            continue
        if match.group(0) != "{":
            start = match.end()
            continue
        close = _find_close(code, match.start())
        head = code[start:match.start()]
        named = _function_head(head)
        if named:
            line = code.count("\n", 0, start + named[1]) + 1
            end_line = code.count("\n", 0, close) + 1
            is_static = re.search(r"\bstatic\b", head) is not None
            found.append(Function(named[0], line, end_line, code[match.start():close + 1],
                                  is_static))
        start = close + 1
    return found


def complexity(function, loop_macros=()):
    """McCabe's number as it is usually counted: 1, and 1 for each branch, loop, case, && || ?:"""
    count = 1 + len(_DECISION.findall(function.body))
    for name in loop_macros:
        count += len(re.findall(r"\b%s\b" % re.escape(name), function.body))
    return count


def _members(body):
    """Members declared directly in a struct's body. An anonymous struct or union inside counts
    with its own members, a named one as one."""
    total, start = 0, 0
    for match in re.compile(r"[;{]").finditer(body):
        if match.start() < start:
            continue
        if match.group(0) == "{":
            close = _find_close(body, match.start())
            semicolon = body.find(";", close)
            semicolon = len(body) if semicolon < 0 else semicolon
            inner_type = re.search(r"\b(struct|union)\b[^;{]*$", body[start:match.start()])
            if inner_type and not body[close + 1:semicolon].strip():
                total += _members(body[match.start() + 1:close])
            else:
                total += 1
            start = semicolon + 1
            continue
        declaration = re.sub(r"\([^()]*\)", "", body[start:match.start()])
        declaration = re.sub(r"\([^()]*\)", "", declaration)
        if declaration.strip() and "_Static_assert" not in declaration:
            total += 1 + declaration.count(",")
        start = match.end()
    return total


def structs(code):
    """The struct and union definitions of blanked code, nested ones too."""
    code = _without_directives(code)
    found = []
    for match in _STRUCT.finditer(code):
        open_at = match.end() - 1
        body = code[open_at + 1:_find_close(code, open_at)]
        name = match.group(2) or "(anonymous)"
        found.append(Struct(name, code.count("\n", 0, match.start()) + 1, _members(body)))
    return found


def includes(text):
    """(line, is_system, name) of each #include outside comments."""
    code = blank(text, keep_strings=True)
    return [(code.count("\n", 0, m.start()) + 1, m.group(1) == "<", m.group(2))
            for m in _INCLUDE.finditer(code)]


def line_count(text):
    return text.count("\n") + (0 if text.endswith("\n") or not text else 1)


def loop_macros(root=ROOT):
    """Names that .clang-format declares as loops."""
    style = root / ".clang-format"
    if not style.exists():
        return []
    match = re.search(r"^ForEachMacros:\s*\[(.*?)\]", style.read_text(), re.M | re.S)
    return re.findall(r"\w+", match.group(1)) if match else []


def tracked(root=ROOT):
    """Paths (relative, sorted) of the tree's files: git's, plus new ones that git does not
    ignore. Without git, every file outside build folders."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "-co", "--exclude-standard"],
        capture_output=True, text=True, check=False)
    if listed.returncode == 0 and (root / ".git").exists():
        names = {n for n in listed.stdout.split("\0") if n}
    else:
        names = {str(p.relative_to(root)) for p in root.rglob("*")
                 if p.is_file() and "build" not in p.relative_to(root).parts}
    return sorted(n for n in names if (root / n).is_file())


def c_files(root=ROOT, under="src/", endings=(".c", ".h")):
    """(relative path, text) of the C files below a folder."""
    return [(n, (root / n).read_text(errors="replace")) for n in tracked(root)
            if n.startswith(under) and n.endswith(endings)]
