"""errors: one tree, drawn as it is, each branch with its exit code."""

from __future__ import annotations

import re

from qa_monitor import errors


def classes() -> dict[str, type[errors.QAMonitorError]]:
    return {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.QAMonitorError)
    }


def test_the_drawn_tree_is_the_tree() -> None:
    drawn: dict[str, str] = {}
    branch = ""
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"[│ ├└─]*?(├──|└──) (\w+Error)", line):
            is_leaf_of_branch = line.startswith(("│", "    │"))
            drawn[match[2]] = branch if is_leaf_of_branch else "QAMonitorError"
            if not is_leaf_of_branch:
                branch = match[2]
    real = {
        name: value.__mro__[1].__name__
        for name, value in classes().items()
        if name != "QAMonitorError"
    }
    assert drawn == real


def test_the_drawn_exit_codes_are_the_exit_codes() -> None:
    codes = dict(re.findall(r"(\w+Error) +(\d+) ", errors.__doc__ or ""))
    assert codes
    for name, code in codes.items():
        assert classes()[name].exit_code == int(code)


def test_branches_have_different_exit_codes_and_leaves_their_branch_s() -> None:
    branches = errors.QAMonitorError.__subclasses__()
    codes = [branch.exit_code for branch in branches]
    assert len(set(codes)) == len(codes)
    for branch in branches:
        assert {leaf.exit_code for leaf in branch.__subclasses__()} <= {branch.exit_code}


def test_an_error_shows_its_message_and_knows_its_call() -> None:
    error = errors.RedactionError("call c1: redaction failed", call_id="c1", kind="ValueError")
    assert (str(error), error.call_id, error.kind) == (error.message, "c1", "ValueError")
