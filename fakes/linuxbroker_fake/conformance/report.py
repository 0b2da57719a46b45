"""Reports of results: as text, JSON and JUnit XML."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from typing import Any

from linuxbroker_fake.conformance.case import CaseResult, Problem

_MAX_STDERR = 2000
_MAX_VALUE = 300


def describe(result: CaseResult) -> str:
    """Describe the result of a case as text.

    Args:
        result: the result.

    Returns:
        One line if the case passed or was skipped; else the problems, with expected and actual values.
    """
    if result.skipped:
        return f"skip  {result.vector.id}: {result.skipped}"
    if result.passed:
        return f"ok    {result.vector.id}"
    lines = [f"FAIL  {result.vector.id}: {result.vector.shows} ({', '.join(result.vector.rows)})"]
    for problem in result.problems:
        lines += [f"      {line}" for line in _describe_problem(problem)]
    if result.stderr:
        lines.append("      the driver's standard error:")
        lines += [f"        {line}" for line in result.stderr[-_MAX_STDERR:].splitlines()]
    return "\n".join(lines)


def summary(results: Sequence[CaseResult]) -> str:
    """Summarize all results in a line.

    Args:
        results: the results.

    Returns:
        The line.
    """
    counts = _counts(results)
    cases = "1 case" if counts["cases"] == 1 else f"{counts['cases']} cases"
    text = f"{cases}: {counts['passed']} passed, {counts['failed']} failed"
    text += f", {counts['skipped']} skipped" if counts["skipped"] else ""
    failed = [result.vector.id for result in results if not result.passed]
    return text + (f": {' '.join(failed)}" if failed else "")


def as_json(results: Sequence[CaseResult], version: str, command: Sequence[str]) -> str:
    """Return the results as JSON.

    Args:
        results: the results.
        version: the version of the interfaces.
        command: the command of the program under test.

    Returns:
        JSON text.
    """
    cases = [
        {
            "id": result.vector.id,
            "kind": result.vector.kind,
            "shows": result.vector.shows,
            "rows": list(result.vector.rows),
            "passed": result.passed,
            "skipped": result.skipped,
            "seconds": round(result.seconds, 3),
            "problems": [_problem_as_dict(problem) for problem in result.problems],
            "stderr": result.stderr,
        }
        for result in results
    ]
    document = {"interfaces": version, "command": list(command), "summary": _counts(results), "cases": cases}
    return json.dumps(document, indent=2) + "\n"


def as_junit(results: Sequence[CaseResult]) -> str:
    """Return the results as JUnit XML.

    Args:
        results: the results.

    Returns:
        XML text.
    """
    counts = {name: str(count) for name, count in _counts(results).items()}
    suite = ElementTree.Element("testsuite", {"name": "linuxbroker conformance", "tests": counts["cases"]})
    suite.attrib |= {"failures": counts["failed"], "skipped": counts["skipped"]}
    suite.attrib["time"] = f"{sum(result.seconds for result in results):.3f}"
    for result in results:
        attributes = {"classname": result.vector.kind, "name": result.vector.id, "time": f"{result.seconds:.3f}"}
        case = ElementTree.SubElement(suite, "testcase", attributes)
        if result.skipped:
            ElementTree.SubElement(case, "skipped", {"message": result.skipped})
        elif not result.passed:
            failure = ElementTree.SubElement(case, "failure", {"message": _printable(result.problems[0].what)})
            failure.text = _printable(describe(result))
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _counts(results: Sequence[CaseResult]) -> dict[str, int]:
    failed = sum(not result.passed for result in results)
    skipped = sum(bool(result.skipped) for result in results)
    return {"cases": len(results), "passed": len(results) - failed - skipped, "failed": failed, "skipped": skipped}


def _describe_problem(problem: Problem) -> list[str]:
    lines = [problem.what]
    for difference in problem.differences:
        lines.append(f"  at {difference.place or 'the top level'}")
        lines += [f"    - expected {_format(difference.expected)}", f"    + actual   {_format(difference.got)}"]
    if problem.expected is not None:
        lines.append(f"  full expected value {_truncate(problem.expected)}")
    if problem.got is not None:
        lines.append(f"  full actual value   {_truncate(problem.got)}")
    return lines


def _problem_as_dict(problem: Problem) -> dict[str, Any]:
    differences = [vars(difference) for difference in problem.differences]
    return {"what": problem.what, "expected": problem.expected, "got": problem.got, "differences": differences}


def _format(value: Any) -> str:
    return value if value == "(absent)" else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _truncate(value: Any) -> str:
    text = _format(value)
    return text if len(text) <= _MAX_VALUE else text[:_MAX_VALUE] + "… (complete in the --json report)"


def _printable(text: str) -> str:
    """Replace the control characters that XML does not allow."""
    return "".join(character if character.isprintable() or character in "\n\t" else "?" for character in text)
