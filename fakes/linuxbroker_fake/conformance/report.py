"""How did it go? The results for a person, as JSON, and as JUnit's XML."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from typing import Any

from linuxbroker_fake.conformance.case import CaseResult, Problem

_STDERR_SHOWN = 2000
_LONGEST_SHOWN = 300


def describe(result: CaseResult) -> str:
    """Say how one case went, for a person.

    Args:
        result: the case.

    Returns:
        A line where it passed; else what was expected, what came, and where they differ.
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
        lines += [f"        {line}" for line in result.stderr[-_STDERR_SHOWN:].splitlines()]
    return "\n".join(lines)


def summary(results: Sequence[CaseResult]) -> str:
    """Say how all cases went, in a line.

    Args:
        results: the cases.

    Returns:
        The line.
    """
    counts = _counts(results)
    told = f"{counts['cases']} cases: {counts['passed']} passed, {counts['failed']} failed"
    told += f", {counts['skipped']} skipped" if counts["skipped"] else ""
    failed = [result.vector.id for result in results if not result.passed]
    return told + (f": {' '.join(failed)}" if failed else "")


def as_json(results: Sequence[CaseResult], version: str, command: Sequence[str]) -> str:
    """Write a report for programs.

    Args:
        results: the cases.
        version: the version of the interfaces.
        command: the program under test.

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
    """Write a report as CI systems read it.

    Args:
        results: the cases.

    Returns:
        JUnit XML.
    """
    counts = {name: str(count) for name, count in _counts(results).items()}
    suite = ElementTree.Element("testsuite", {"name": "linuxbroker conformance", "tests": counts["cases"]})
    suite.attrib |= {"failures": counts["failed"], "skipped": counts["skipped"]}
    suite.attrib["time"] = f"{sum(result.seconds for result in results):.3f}"
    for result in results:
        named = {"classname": result.vector.kind, "name": result.vector.id, "time": f"{result.seconds:.3f}"}
        case = ElementTree.SubElement(suite, "testcase", named)
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
        lines.append(f"  at {difference.place or 'the top'}")
        lines += [f"    - expected {_short(difference.expected)}", f"    + came     {_short(difference.got)}"]
    if problem.expected is not None:
        lines.append(f"  expected in all {_cut(problem.expected)}")
    if problem.got is not None:
        lines.append(f"  came in all     {_cut(problem.got)}")
    return lines


def _problem_as_dict(problem: Problem) -> dict[str, Any]:
    differences = [vars(difference) for difference in problem.differences]
    return {"what": problem.what, "expected": problem.expected, "got": problem.got, "differences": differences}


def _short(value: Any) -> str:
    return value if value == "(absent)" else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _cut(value: Any) -> str:
    text = _short(value)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "… (--json has it whole)"


def _printable(text: str) -> str:
    """A text without the control characters that XML can't carry."""
    return "".join(character if character.isprintable() or character in "\n\t" else "?" for character in text)
