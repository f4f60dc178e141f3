"""Fonts for every language that a prompt may be written in.

matplotlib's own font, DejaVu Sans, has no Korean, Chinese or Japanese. `dress(figure)` gives each text of a figure the
list of installed families that its letters need. The families sit on the text objects, not in matplotlib's global
settings: two threads can plot at once, and a figure that is saved or shown later keeps its letters. `glyphs()` is for
other people's drawing code, which reads the global settings; it holds a lock while it changes them.
"""

from __future__ import annotations

import functools
import threading
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from clipviz.errors import ClipvizWarning

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BASE = "DejaVu Sans"  # comes with matplotlib, so that a figure looks the same on every machine
PLACEHOLDER = "\u25a1"  # drawn for a letter that no installed font has; DejaVu Sans has it

KOREAN = (
    "Noto Sans CJK KR", "Noto Sans KR", "Source Han Sans KR", "Source Han Sans K", "NanumGothic", "Nanum Gothic",
    "NanumBarunGothic", "Malgun Gothic", "Apple SD Gothic Neo", "AppleGothic", "UnDotum", "Baekmuk Dotum",
)  # fmt: skip
JAPANESE = (
    "Noto Sans CJK JP", "Noto Sans JP", "Source Han Sans JP", "Source Han Sans", "Hiragino Sans", "Yu Gothic",
    "Meiryo", "IPAexGothic", "IPAGothic", "TakaoGothic", "VL Gothic",
)  # fmt: skip
CHINESE = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN", "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei", "PingFang SC", "Microsoft YaHei", "SimHei", "Noto Sans CJK TC", "Noto Sans TC",
    "PingFang TC", "Microsoft JhengHei", "Droid Sans Fallback", "Arial Unicode MS",
)  # fmt: skip
# They claim every code point, or matplotlib cannot draw them: they would answer "yes" to any letter.
_UNUSABLE = ("Last Resort", "Noto Color Emoji", "Apple Color Emoji", "Adobe Blank")

_lock = threading.RLock()
_rescanned = False


def cjk() -> list[str]:
    """The Korean, Japanese and Chinese families that are installed, Korean first.

    >>> isinstance(cjk(), list)
    True
    """
    return [name for name in KOREAN + JAPANESE + CHINESE if name in _installed()]


def families(*texts: str) -> list[str]:
    """The families, in order of preference, that together draw ``texts``; DejaVu Sans first.

    Chinese characters take their Korean shape beside Hangul, their Japanese shape beside kana, else the Chinese one.

    >>> families("a dog")
    ['DejaVu Sans']
    """
    return _plan("".join(texts))[0]


def missing(*texts: str) -> str:
    """The letters of ``texts``, each once, that no installed font can draw.

    >>> missing("a dog")
    ''
    """
    return _plan("".join(texts))[1]


def dress(figure: Figure) -> None:
    """Give every text of ``figure`` the fonts that its letters need.

    Letters that no font has are replaced by a box, and one `ClipvizWarning` says which package brings them, where
    matplotlib would warn for each letter at each drawing. Dollar signs are plain text, control characters spaces.

    Parameters
    ----------
    figure : a matplotlib Figure; its texts are changed in place.
    """
    from matplotlib.text import Text

    lost = ""
    for item in figure.findobj(Text):
        assert isinstance(item, Text)
        text = item.get_text()
        if not text:
            continue
        plain = "".join(" " if unicodedata.category(c) in ("Cc", "Cs") and c != "\n" else c for c in text)
        names, gone = _plan(plain)
        if gone:
            lost += gone
            plain = plain.translate({ord(c): PLACEHOLDER for c in gone})
        if plain != text:
            item.set_text(plain)
        item.set_parse_math(False)
        item.set_fontfamily(names)
        if item.get_fontweight() != "normal" and not all(_has_bold(name) for name in names):
            item.set_fontweight("normal")  # matplotlib would log a complaint, and mix weights within a line
    if lost:
        warnings.warn(_advice("".join(dict.fromkeys(lost))), ClipvizWarning, stacklevel=3)


@contextmanager
def glyphs() -> Iterator[list[str]]:
    """Append the installed CJK families to matplotlib's ``font.family``, for drawing code that is not ours.

    The settings of matplotlib belong to the whole process: a lock is held until the block ends, so draw *and save*
    inside it, and keep it short. `clipviz.plots` does not need it (see `dress`).

    >>> with glyphs() as added:
    ...     pass  # draw with seaborn or pyplot, and savefig
    """
    from matplotlib import rcParams

    added = cjk()
    with _lock:
        family, sans = list(rcParams["font.family"]), list(rcParams["font.sans-serif"])
        try:
            rcParams["font.family"] = family + [name for name in added if name not in family]
            rcParams["font.sans-serif"] = sans + [name for name in added if name not in sans]
            yield added
        finally:
            rcParams["font.family"], rcParams["font.sans-serif"] = family, sans


def width(text: str) -> int:
    """Columns that ``text`` takes, a Korean or Chinese letter counting two and a combining mark none.

    >>> width("숲 ab")
    5
    """
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def wrap(text: str, columns: int, lines: int = 3) -> str:
    """Break ``text`` into at most ``lines`` lines of ``columns`` columns, cut with an ellipsis where it is longer.

    Long words and texts without spaces are broken anywhere.

    >>> wrap("a bird over the lake", 10)
    'a bird\\nover the\\nlake'
    """
    columns = max(columns, 4)
    rows: list[str] = []
    for paragraph in text.split("\n"):
        row = ""
        for word in paragraph.split():
            if row and width(row) + 1 + width(word) <= columns:
                row += " " + word
                continue
            if row:
                rows.append(row)
            row = ""
            for letter in word:
                if row and width(row) + width(letter) > columns:
                    rows.append(row)
                    row = ""
                row += letter
        rows.append(row)
    if len(rows) > lines:
        last = rows[lines - 1]
        while last and width(last) > columns - 1:
            last = last[:-1]
        rows = [*rows[: lines - 1], last.rstrip() + "…"]
    return "\n".join(rows)


def _plan(text: str) -> tuple[list[str], str]:
    """Families for ``text`` and the letters that none has."""
    rest = {c: None for c in text if not _invisible(c) and ord(c) not in _covered(BASE)}
    names = [BASE]
    if rest:
        rest = _take(rest, _preference(text), names)
    if rest:  # scripts beyond CJK (Thai, Devanagari ...): any installed family may have them
        rest = _take(rest, _others(names), names)
    if rest and _rescan():
        return _plan(text)
    return names, "".join(rest)


def _has_bold(name: str) -> bool:
    from matplotlib.font_manager import fontManager

    return any(e.name == name and e.weight in (700, "bold") and e.style == "normal" for e in fontManager.ttflist)


def _others(names: list[str]) -> list[str]:
    # matplotlib logs a complaint for a family without a plain face, so such families are left out.
    return sorted(name for name, (_, _, plain) in _faces(_count()).items() if plain and name not in names)


def _take(rest: dict[str, None], candidates: Iterable[str], names: list[str]) -> dict[str, None]:
    for name in candidates:
        if not rest:
            break
        left = {c: None for c in rest if ord(c) not in _covered(name)}
        if len(left) < len(rest):
            names.append(name)
            rest = left
    return rest


def _preference(text: str) -> list[str]:
    korean = any("\u1100" <= c <= "\u11ff" or "\u3130" <= c <= "\u318f" or "\uac00" <= c <= "\ud7a3" for c in text)
    japanese = any("\u3040" <= c <= "\u30ff" for c in text)
    order = KOREAN + JAPANESE + CHINESE if korean else JAPANESE + CHINESE + KOREAN
    if not korean and not japanese:
        order = CHINESE + JAPANESE + KOREAN
    known = _installed()
    return [name for name in order if name in known]


def _invisible(letter: str) -> bool:
    # Spaces, controls, joiners and variation selectors leave no mark of their own.
    return unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zs", "Zl", "Zp") or "\ufe00" <= letter <= "\ufe0f"


def _installed() -> frozenset[str]:
    return frozenset(_faces(_count()))


def _count() -> int:
    from matplotlib.font_manager import fontManager

    return len(fontManager.ttflist)


@functools.lru_cache(maxsize=4)
def _faces(count: int) -> dict[str, tuple[str, int, bool]]:
    """Family -> (file, face in it, whether it has an upright face of plain weight).

    ``count``, the number of fonts that matplotlib knows, is the key of the cache: its list only ever grows.
    """
    from matplotlib.font_manager import fontManager, weight_dict

    def plainness(entry: Any) -> int:
        weight = entry.weight if isinstance(entry.weight, int) else weight_dict.get(entry.weight, 400)
        return abs(weight - 400) + (1000 if entry.style != "normal" else 0)

    best: dict[str, Any] = {}
    for entry in fontManager.ttflist:
        if not entry.name.startswith(_UNUSABLE) and (
            entry.name not in best or plainness(entry) < plainness(best[entry.name])
        ):
            best[entry.name] = entry
    return {name: (e.fname, getattr(e, "index", 0), plainness(e) == 0) for name, e in best.items()}


@functools.lru_cache(maxsize=128)
def _covered(family: str) -> frozenset[int]:
    """The code points that ``family`` can draw."""
    from matplotlib.ft2font import FT2Font

    if family not in _installed():
        return frozenset()
    path, face, _ = _faces(_count())[family]
    try:
        font = FT2Font(path, face_index=face) if face else FT2Font(path)
        return frozenset(font.get_charmap())
    except (OSError, RuntimeError):
        return frozenset()  # a file that went away or that FreeType cannot read has no letters for us


def _rescan() -> bool:
    """Look once for fonts installed after matplotlib wrote its cache; True where there are new ones."""
    global _rescanned
    from matplotlib.font_manager import findSystemFonts, fontManager

    with _lock:
        if _rescanned:
            return False
        _rescanned = True
        known = {entry.fname for entry in fontManager.ttflist}
        before = len(known)
        for path in sorted(findSystemFonts()):
            if path not in known:
                try:
                    fontManager.addfont(path)
                except (OSError, RuntimeError, ValueError):
                    continue  # colour emoji and damaged files: not drawable, not ours to report
        _covered.cache_clear()
        return len({entry.fname for entry in fontManager.ttflist}) > before


def _advice(lost: str) -> str:
    shown = lost[:8] + ("…" if len(lost) > 8 else "")
    scripts = {unicodedata.name(c, "UNNAMED").split()[0] for c in lost}
    package = "fonts-noto-core"
    if "HANGUL" in scripts:
        package = "fonts-nanum or fonts-noto-cjk"
    elif scripts & {"CJK", "HIRAGANA", "KATAKANA", "BOPOMOFO", "FULLWIDTH", "HALFWIDTH", "IDEOGRAPHIC"}:
        package = "fonts-noto-cjk"
    elif any(ord(c) >= 0x1F000 for c in lost):
        package = "fonts-symbola"
    return (
        f"No installed font has {shown!r}, so boxes are drawn in the plot; install one, on Debian or Ubuntu with"
        f" `apt-get install {package}`."
    )
