"""The gate of an audit as JUnit XML, which continuous integration shows bound by bound."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..result import Audit

# What XML 1.0 cannot hold, escaped or not.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(audit: Audit) -> str:
    """A test case a bound: failed where it is broken, skipped where it is not applicable, with its sentence.

    A spec without a gate gives a suite without cases, which says so.
    """
    from ..gate import gate

    held = gate(audit)
    failures = sum(found.broken for found in held.bounds)
    skipped = sum(not found.applicable for found in held.bounds)
    counts = {"tests": str(len(held.bounds)), "failures": str(failures), "errors": "0", "skipped": str(skipped)}
    root = ElementTree.Element("testsuites", {"name": "clipviz audit", **counts, "time": "0"})
    name = _clean(f"clipviz audit {audit.spec.name}")
    suite = ElementTree.SubElement(root, "testsuite", {"name": name, **counts, "time": "0"})
    for found in held.bounds:
        about = {"classname": _clean(f"clipviz.audit.{audit.spec.name}"), "name": _clean(found.bound.text), "time": "0"}
        case = ElementTree.SubElement(suite, "testcase", about)
        said = _clean(found.sentence)
        if found.broken:
            failure = ElementTree.SubElement(case, "failure", {"message": said, "type": "bound"})
            failure.text = said
        elif not found.applicable:
            ElementTree.SubElement(case, "skipped", {"message": said})
        ElementTree.SubElement(case, "system-out").text = said
    ElementTree.SubElement(suite, "system-out").text = _clean(held.sentence)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
