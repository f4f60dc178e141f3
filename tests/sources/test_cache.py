"""What is kept of what was read."""

import pickle

from clipviz.sources.cache import Recent


def test_the_longest_unused_goes_and_the_newest_stays():
    kept = Recent(10)
    for key in "abc":
        kept.put(key, key.upper(), 4)  # twelve bytes: a goes
    assert kept.get("a") is None and (kept.get("b"), kept.get("c")) == ("B", "C")
    kept.get("b")
    kept.put("d", "D", 4)
    assert kept.get("c") is None and kept.get("b") == "B"
    assert kept.put("huge", "H", 99) == "H" and kept.get("huge") == "H" and len(kept) == 1
    kept.put("huge", "I", 3)
    kept.put("e", "E", 7)  # the second put of a key counts once
    assert (kept.get("huge"), kept.get("e")) == ("I", "E")


def test_a_pickled_copy_is_empty_and_works():
    kept = Recent(10)
    kept.put("a", 1, 4)
    copy = pickle.loads(pickle.dumps(kept))
    assert len(copy) == 0 and copy.limit == 10 and copy.put("b", 2, 1) == copy.get("b") == 2
