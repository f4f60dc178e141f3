"""Do the ids look like several pictures of one person? Then each must not count as another."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

# The person before the number of the picture: Ada_Lovelace_0003.jpg, n000002/0001_01.jpg, p07-2.png
_NUMBERED = re.compile(r"^(.*?\w)[\s_.-]+\(?\d{1,5}\)?$")
_FOLDER = re.compile(r"(?:^|/)([^/]+)/[^/]+$")
_AGE_FIRST = re.compile(r"^\d{1,3}_[01]_")  # UTKFace's names begin with age, gender and race, and name nobody
_FEWEST, _MOST = 3, 200  # persons that must come back; pictures of one, beyond which a name is a class and no person
_SHARE = 0.5  # of the pictures that must show somebody who is there again


def persons_suspected(ids: Sequence[str]) -> str:
    """A sentence where most ids differ from another in their last number alone; "" where they do not.

    A person may be a part of the name (``Ada_Lovelace_0003.jpg``) or a folder (``Ada_Lovelace/3.jpg``). Folders of
    hundreds of pictures are classes, and a single name before all numbers is a camera's.

    >>> persons_suspected(["ada_1.jpg", "ada_2.jpg", "ben_1.jpg", "ben_2.jpg", "eve_1.jpg", "eve_2.jpg"])[:50]
    'The ids suggest several pictures of one person (2 '
    >>> persons_suspected(["IMG_0001.jpg", "IMG_0002.jpg", "IMG_0003.jpg"])
    ''
    """
    for pattern in (_by_name, _by_folder):
        names = Counter(name for name in map(pattern, ids) if name)
        again = {name: count for name, count in names.items() if 1 < count <= _MOST}
        if len(again) >= _FEWEST and sum(again.values()) >= _SHARE * len(ids):
            name = max(again, key=lambda one: (again[one], one))
            return (
                f"The ids suggest several pictures of one person ({again[name]} of {name[:60]!r}), and each would "
                'count as another person: name the column that says who is seen, person="the column".'
            )
    return ""


def _by_name(id: str) -> str:
    folder, _, file = id.rpartition("/")
    stem = file.rsplit(".", 1)[0] if "." in file else file
    if _AGE_FIRST.match(stem):
        return ""
    found = _NUMBERED.match(stem)
    return f"{folder}/{found[1]}".lstrip("/") if found else ""


def _by_folder(id: str) -> str:
    found = _FOLDER.search(id)
    return found[1] if found else ""
