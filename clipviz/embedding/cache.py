"""The user's cache of stores: what lies in it, what is in use, and what is removed first where it grows too large.

Stores that `embed` was given no folder for lie here, each in a folder named after its model and its data (`place`).
Together they take 20 GB at most, or what ``CLIPVIZ_CACHE_LIMIT`` says (``500MB``, ``2TB``, ``0``): after each run whole
stores are removed, the one whose last use is longest ago first. Who writes or reads a store holds a shared lock on its
file ``.used``, which the kernel drops with the process; what is in use is never removed, even where that is too much.

    >>> from clipviz.embedding import cache
    >>> cache.stores()  # doctest: +SKIP
    >>> cache.clear(older_than="30 days")  # doctest: +SKIP
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ClipvizWarning, DataError, InputError, nearest
from .manifest import Manifest
from .place import cache_root

if TYPE_CHECKING:
    import pandas as pd

LIMIT, VARIABLE = 20 * 10**9, "CLIPVIZ_CACHE_LIMIT"
USED = ".used"  # its time is that of the last use
_NAME = re.compile(r"[0-9a-f]{32}")
_GONE = ".removed-"
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgt]?)(i?)b?", re.IGNORECASE)


def stores() -> pd.DataFrame:
    """The stores of the cache, the one used last first.

    A row each: ``name``, ``kind`` ("images", "texts"), ``model``, ``data`` (words), ``rows`` (vectors so far),
    ``bytes`` on disk and ``used``, the time of the last use (UTC). What cannot be read has neither model nor data.

    >>> stores()[["name", "model", "bytes"]]  # doctest: +SKIP
    """
    import pandas as pd

    found = [row for folder in _folders() if (row := _row(folder))]
    table = pd.DataFrame(found, columns=["name", "kind", "model", "data", "rows", "bytes", "used"])
    table["used"] = pd.to_datetime(table["used"], unit="ns", utc=True)
    table = table.astype({"rows": "Int64", "bytes": "int64"})
    return table.sort_values(["used", "name"], ascending=[False, True], ignore_index=True)


def clear(names: str | Sequence[str] | None = None, *, older_than: str | timedelta | None = None) -> pd.DataFrame:
    """Remove stores: those named (the beginning of a name will do), or all; the removed ones, as `stores` lists them.

    ``older_than`` leaves those that were used since, such as "30 days" or a timedelta. Raises DataError for a name that
    is not there, stands for several or is in use; of all, those in use stay, and a ClipvizWarning counts them.

    >>> clear("3f8a", older_than="12 hours")  # doctest: +SKIP
    """
    import pandas as pd

    table = stores()
    wanted = table
    if names is not None:
        given = [names] if isinstance(names, str) else list(names)
        wanted = table[table["name"].isin([_named(str(name), list(table["name"])) for name in given])]
    if older_than is not None:
        wanted = wanted[wanted["used"] <= pd.Timestamp.now("UTC") - _age(older_than)]
    removed = [_remove(cache_root() / name) for name in wanted["name"]]
    _sweep()
    if stay := [name for name, gone in zip(wanted["name"], removed, strict=True) if not gone]:
        if names is not None:
            raise DataError(f"The store {stay[0]} is in use; end what reads or writes it, and clear it again.")
        warnings.warn(f"{len(stay)} stores are in use and stay, such as {stay[0]}.", ClipvizWarning, stacklevel=2)
    return wanted[np.array(removed, bool)].reset_index(drop=True)


def trim(limit: int | str | None = None) -> pd.DataFrame:
    """Remove whole stores, least recently used first, until the others take ``limit`` at most; gives the removed ones.

    ``limit`` : bytes, or a size such as "5GB"; by default that of ``CLIPVIZ_CACHE_LIMIT``, or 20 GB. What is in use
    stays.

    >>> trim("5GB")  # doctest: +SKIP
    """
    most, table = limit_asked(limit), stores()
    total, removed = int(table["bytes"].sum()), np.zeros(len(table), bool)
    for i in reversed(range(len(table))):
        if total <= most:
            break
        if _remove(cache_root() / table["name"][i]):
            total -= int(table["bytes"][i])
            removed[i] = True
    _sweep()
    return table[removed].reset_index(drop=True)


def limit_asked(limit: int | str | None = None) -> int:
    """The limit in bytes: the one given, else that of the environment, else 20 GB.

    >>> limit_asked("1.5 GB"), limit_asked("2KiB")
    (1500000000, 2048)
    """
    where, told = ("limit", limit) if limit is not None else (VARIABLE, os.environ.get(VARIABLE, "").strip() or LIMIT)
    if isinstance(told, int) and not isinstance(told, bool) and told >= 0:
        return told
    match = _SIZE.fullmatch(told.strip()) if isinstance(told, str) else None
    if not match:
        raise InputError(f"{where}={told!r} is no size; write bytes, or a number with its unit such as '20GB'.")
    number, unit, binary = match.groups()
    return int(float(number) * (1024 if binary else 1000) ** ("kmgt".index(unit.lower()) + 1 if unit else 0))


def told_bytes(count: int) -> str:
    """
    >>> told_bytes(999), told_bytes(1_234_000)
    ('999 B', '1.2 MB')
    """
    size, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while size >= 999.95 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{count} B" if count < 1000 else f"{size:.1f} {units[0]}"


@contextmanager
def keeping(folder: Path) -> Iterator[None]:
    """While a run fills ``folder`` nobody removes it; afterwards the cache is trimmed. Nothing, outside the cache."""
    if not _in_cache(folder):
        yield
        return
    most = limit_asked()  # told before the model has worked for nothing
    use = Use(folder, make=True)
    try:
        yield
        if (size := _bytes(folder)) > most:
            warnings.warn(
                f"This store takes {told_bytes(size)}, more than the cache's {told_bytes(most)}, and will be removed "
                f"after its use; pass out= to keep it, or raise {VARIABLE}.", ClipvizWarning, stacklevel=4,
            )  # fmt: skip
        trim(most)
    finally:
        use.close()


def using(folder: Path) -> tuple[Use, ...]:
    """A `Use` of a store that lies in the cache; nothing of any other."""
    return (Use(folder),) if _in_cache(folder) else ()


class Use:
    """A shared lock on a store of the cache, until it is closed or nothing refers to it; its time is noted."""

    def __init__(self, folder: Path, *, make: bool = False) -> None:
        self.folder = folder
        self.close: Callable[[], Any] = lambda: None
        with suppress(OSError):  # of a cache that may only be read: nobody removes anything from it either
            self.close = weakref.finalize(self, os.close, _locked(folder, shared=True, make=make))
            os.utime(folder / USED)

    def __reduce__(self) -> tuple[type[Use], tuple[Path]]:
        return Use, (self.folder,)


def _locked(folder: Path, *, shared: bool, make: bool = False) -> int:
    """The locked file ``.used`` of a store; BlockingIOError where it is in use and is to be removed."""
    import fcntl

    while True:
        if make:
            folder.mkdir(parents=True, exist_ok=True)
        file = os.open(folder / USED, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            # Who removes holds it for the time of a rename, and is waited for; who uses may do so for days.
            fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file), os.stat(folder / USED)):
                    return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)  # removed between our opening and our locking: once more


def _remove(folder: Path) -> bool:
    """Remove a store unless it is in use: renamed while it is locked, so that nobody sees half of one."""
    try:
        file = _locked(folder, shared=False)
    except OSError:
        return False
    try:
        away = folder.with_name(f"{_GONE}{folder.name}-{secrets.token_hex(4)}")
        os.rename(folder, away)
    except OSError:
        return False
    finally:
        os.close(file)
    shutil.rmtree(away, ignore_errors=True)
    return True


def _sweep() -> None:
    """What a killed process had begun to remove."""
    for folder in cache_root().glob(f"{_GONE}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _folders() -> list[Path]:
    with suppress(FileNotFoundError):
        inside = os.scandir(cache_root())
        return [Path(one) for one in inside if _NAME.fullmatch(one.name) and one.is_dir(follow_symlinks=False)]
    return []


def _row(folder: Path) -> dict[str, Any] | None:
    """What is told of a store; None where it has just been removed."""
    try:
        time = folder / USED if (folder / USED).exists() else folder
        row: dict[str, Any] = {"name": folder.name, "bytes": _bytes(folder), "used": time.stat().st_mtime_ns}
    except OSError:
        return None
    try:
        told = Manifest.read(folder)
        named = " ".join(str(told.model[key]) for key in ("model", "tag") if told.model.get(key))
        row |= {"kind": told.kind, "model": named, "data": told.data.get("where"), "rows": told.counts.get("done")}
    except (DataError, KeyError, AttributeError):  # begun and killed, damaged, or of another version
        pass
    return row


def _bytes(folder: Path) -> int:
    return sum(one.stat().st_size for one in os.scandir(folder) if one.is_file(follow_symlinks=False))


def _in_cache(folder: Path) -> bool:
    path = Path(os.path.abspath(folder))
    return bool(_NAME.fullmatch(path.name)) and os.path.realpath(path.parent) == os.path.realpath(cache_root())


def _named(name: str, known: Sequence[str]) -> str:
    """The store whose name begins so."""
    fits = [one for one in known if one.startswith(name)] if name else []
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise DataError(f"{name!r} is the beginning of {len(fits)} stores; write more of the name, as of {fits[0]!r}.")
    more = nearest(name, known) if known else "The cache is empty."
    raise DataError(f"There is no store {name!r} in the cache {str(cache_root())!r}. {more}")


def _age(told: str | timedelta) -> pd.Timedelta:
    import pandas as pd

    try:
        if not isinstance(told, timedelta) and told.strip().replace(".", "", 1).isdigit():
            raise ValueError("a number alone has no unit")
        age = pd.Timedelta(told)
        if not age >= pd.Timedelta(0):  # NaT too
            raise ValueError("it is negative")
    except (ValueError, TypeError, AttributeError):
        raise InputError(f"older_than={told!r} is no length of time; write such as '30 days' or '12 hours'.") from None
    return age
