"""Face tables whose columns and values are known: FairFace, UTKFace and CelebA, matched by name and never by place."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError

if TYPE_CHECKING:
    import pandas as pd

TABLES = ("fairface", "utkface", "celeba")
RACES = ("Black", "White", "Indian", "Latino or Hispanic", "Middle Eastern", "Southeast Asian", "East Asian")
GENDERS = ("Male", "Female")
AGES = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "over 70")
NAMES = {"race": (*RACES, "Asian", "Others"), "gender": GENDERS, "age": (*AGES, "Young", "Not young")}

_OTHER_NAMES = {
    "race": {"latinohispanic": "Latino or Hispanic", "latino": "Latino or Hispanic", "hispanic": "Latino or Hispanic"},
    "gender": {"m": "Male", "man": "Male", "men": "Male", "f": "Female", "woman": "Female", "women": "Female"},
    "age": {"morethan70": "over 70", "70+": "over 70", "70ormore": "over 70", "over70": "over 70"},
}  # fmt: skip
# The codes in UTKFace's file names: [age]_[gender]_[race]_[date and time].jpg
_UTKFACE = {"gender": {"0": "Male", "1": "Female"},
            "race": {"0": "White", "1": "Black", "2": "Asian", "3": "Indian", "4": "Others"}}  # fmt: skip
_UTKFACE_NAME = re.compile(r"(?:^|/)(\d{1,3})_([01])_(?:([0-4])_)?\d{8,}(?:\.\w+)*$")
# CelebA's columns are attributes: Male is 1 or -1 (0 in some copies)
_CELEBA = {"gender": ("Male", "Male", "Female"), "age": ("Young", "Young", "Not young")}
_CELEBA_MARKS = ("Male", "Young", "Smiling", "Eyeglasses")


def known_name(column: str, value: str, table: str = "") -> str | None:
    """What a value of "race", "gender" or "age" is called here; None where it is not known.

    A number in "age" is put into FairFace's band of years. ``table`` "utkface" reads that table's codes, which no
    other column of numbers is guessed to be.

    >>> known_name("race", "Latino_Hispanic"), known_name("age", "more than 70"), known_name("age", "37")
    ('Latino or Hispanic', 'over 70', '30-39')
    """
    kind = column.casefold()
    if kind not in NAMES:
        return None
    if table == "utkface" and (found := _UTKFACE.get(kind, {}).get(value)):
        return found
    if kind == "age" and re.fullmatch(r"\d{1,3}(\.0+)?", value.strip()):
        return age_band(float(value))
    said = _folded(value)
    own = {_folded(name): name for name in NAMES[kind]}
    return own.get(said) or _OTHER_NAMES[kind].get(said)


def age_band(years: float) -> str:
    """FairFace's band of an age in years.

    >>> age_band(9), age_band(70)
    ('3-9', 'over 70')
    """
    starts = (0, 3, 10, 20, 30, 40, 50, 60, 70)
    return AGES[max(i for i, start in enumerate(starts) if years >= start)]


def recognised(frame: pd.DataFrame) -> str:
    """Which table's columns or file names these are; "" where none is known. ``frame`` is indexed by id."""
    columns = {str(name) for name in frame.columns}
    if all(name in columns for name in _CELEBA_MARKS):
        return "celeba"
    if {"age", "gender", "race"} <= columns and "service_test" in columns:
        return "fairface"
    first = [str(one) for one in frame.index[:200]]
    if first and sum(_UTKFACE_NAME.search(one) is not None for one in first) >= 0.9 * len(first):
        return "utkface"
    return ""


def known_column(frame: pd.DataFrame, column: str) -> pd.Series | None:
    """The column "race", "gender" or "age" of a table that tells it in another way: CelebA's attributes, UTKFace's
    file names. None where the table is not known or tells nothing of it; empty cells where a name is malformed.
    """
    import pandas as pd

    table = recognised(frame)
    if table == "celeba" and column in _CELEBA:
        attribute, yes, no = _CELEBA[column]
        cells = frame[attribute].map(lambda cell: str(cell).removesuffix(".0"))
        if not set(cells) <= {"1", "-1", "0", "True", "False"}:
            raise DataError(
                f"CelebA's {attribute!r} holds {sorted(set(cells))[:4]} beside 1 and -1; read the attributes again "
                "with clipviz.auditing.celeba_table."
            )
        return cells.map(lambda cell: yes if cell in ("1", "True") else no)
    if table == "utkface" and column in ("age", "gender", "race"):
        return pd.Series(utkface_table([str(one) for one in frame.index])[column].to_numpy(), index=frame.index)
    return None


def utkface_table(ids: Sequence[str]) -> pd.DataFrame:
    """age, gender and race from UTKFace's file names, a row an id; empty where the name does not tell.

    >>> utkface_table(["25_0_2_20170116174525125.jpg.chip.jpg"]).iloc[0].to_dict()
    {'age': '20-29', 'gender': 'Male', 'race': 'Asian'}
    """
    import pandas as pd

    index = pd.Index(list(ids), name="id", dtype=object)
    parts = pd.Series(index, index=index).str.extract(_UTKFACE_NAME)  # a few of its names lack the race
    bands = {str(age): age_band(age) for age in range(1000)}
    return pd.DataFrame({"age": parts[0].map(bands), "gender": parts[1].map(_UTKFACE["gender"]),
                         "race": parts[2].map(_UTKFACE["race"])}, dtype=object)  # fmt: skip


def celeba_table(path: str | os.PathLike[str]) -> pd.DataFrame:
    """CelebA's ``list_attr_celeba.txt`` (or its .csv): ``image_id`` and 40 attributes of 1 and -1, to join to a store.

    >>> store.join(celeba_table("list_attr_celeba.txt"), on="image_id")  # doctest: +SKIP
    """
    import pandas as pd

    place = Path(path)
    try:
        with open(place, encoding="utf-8") as file:
            first = file.readline().strip()
        if first.isdecimal():  # the count of pictures; then the names of the attributes, and a line a picture
            found = pd.read_csv(place, sep=r"\s+", skiprows=1)
            found.insert(0, "image_id", found.index)
            found = found.reset_index(drop=True)
        else:
            found = pd.read_csv(place)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise DataError(f"{str(place)!r} cannot be read as CelebA's attributes ({error}).") from error
    if "image_id" not in found or "Male" not in found:
        raise DataError(f"{str(place)!r} has no columns image_id and Male; pass CelebA's list_attr_celeba.txt.")
    return found


def in_order(column: str, names: Sequence[str]) -> list[str]:
    """Group names in the order that people expect: ages upwards, FairFace's races, the unknown by the alphabet."""
    known = {name: at for at, name in enumerate(NAMES.get(column.casefold(), ()))}
    return sorted(names, key=lambda name: (known.get(name, len(known)), name))


def _folded(value: Any) -> str:
    return re.sub(r"[\s_/.]+", "", str(value).casefold()).replace("\u2013", "-")
