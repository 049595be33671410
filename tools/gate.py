"""What every gate shares: its command line, its verdict and its self-test.

A gate is a function check(root) -> (problems, summary line). Its self-test is a list of small
trees, each with the words that a problem must contain, or with none where the tree is fine: a
gate that cannot fail is worth nothing.
"""
import pathlib
import sys
import tempfile

import csource


def write_tree(root, files):
    for name, text in files.items():
        path = pathlib.Path(root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _self_test(name, check, cases):
    wrong = []
    for number, (files, wanted) in enumerate(cases, 1):
        with tempfile.TemporaryDirectory() as folder:
            write_tree(folder, files)
            problems, _ = check(pathlib.Path(folder))
        if wanted is None and problems:
            wrong.append(f"case {number}: a clean tree was refused: {problems[0]}")
        elif wanted is not None and not any(wanted in p for p in problems):
            wrong.append(f"case {number}: no problem says '{wanted}', got {problems}")
    for line in wrong:
        print(f"{name}: {line}")
    print(f"{name}: self-test, {len(cases)} cases, {len(wrong)} wrong")
    return 1 if wrong else 0


def main(name, check, cases):
    """Exit status 0: the tree is fine. 1: it is not. 2: wrong use. 77: could not be checked."""
    arguments = sys.argv[1:]
    if arguments == ["--self-test"]:
        return _self_test(name, check, cases)
    if arguments:
        print(f"usage: {name} [--self-test]", file=sys.stderr)
        return 2
    problems, summary = check(csource.ROOT)
    if problems is None:
        print(f"{name}: skipped: {summary}")
        return 77
    for line in problems:
        print(line)
    print(f"{name}: {summary}, {len(problems)} problem{'' if len(problems) == 1 else 's'}")
    return 1 if problems else 0
