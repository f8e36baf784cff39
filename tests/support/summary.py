# SPDX-License-Identifier: MIT
"""summary.py DIR BROKEN: adds up the results in DIR, names failures and skips, and ends with the
one line that counts. BROKEN steps count as failures."""

import json
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def cases_of(path):
    """(name, outcome, text) of every case in a file of GoogleTest or pytest."""
    for case in ElementTree.parse(path).iter("testcase"):
        name = f"{path.parent.name}/{path.stem}: {case.get('classname')}.{case.get('name')}"
        failure = next((case.find(tag) for tag in ("failure", "error")
                        if case.find(tag) is not None), None)
        skipped = case.find("skipped")
        if failure is not None:
            yield name, "failed", failure.get("message") or failure.text or ""
        elif skipped is not None:
            yield name, "skipped", skipped.get("message") or ""
        elif case.get("status") == "notrun":
            continue
        else:
            yield name, "passed", ""


def programs_of(path):
    """Programs of meson that failed: (name, last words)."""
    for line in path.read_text(encoding="utf-8").splitlines():
        test = json.loads(line)
        if test["result"] in ("FAIL", "ERROR", "TIMEOUT", "INTERRUPT"):
            words = test.get("stderr") or test.get("stdout") or test["result"]
            yield f"{path.stem}: {test['name']}", words.strip()[-200:]


def main():
    directory = Path(sys.argv[1])
    outcomes = {"passed": 0, "failed": int(sys.argv[2]), "skipped": 0}
    for path in sorted(directory.rglob("*.xml")):
        try:
            results = list(cases_of(path))
        except ElementTree.ParseError as error:
            results = [(path.stem, "failed", f"unreadable results: {error}")]
        for name, outcome, text in results:
            outcomes[outcome] += 1
            if outcome != "passed":
                first = text.strip().splitlines()[0][:200] if text.strip() else "no reason given"
                print(f"{outcome}  {name}\n         {first}")
    # A program that crashed wrote no cases, or none that failed.
    for path in sorted(directory.rglob("*.json")):
        cases = path.with_suffix(".xml")
        try:
            has_failed_case = any(outcome == "failed" for _, outcome, _ in cases_of(cases))
        except (OSError, ElementTree.ParseError):
            has_failed_case = False
        for name, text in programs_of(path):
            print(f"failed  {name}\n         {text}")
            if not has_failed_case:
                outcomes["failed"] += 1
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**outcomes))
    return 1 if outcomes["failed"] or not outcomes["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
