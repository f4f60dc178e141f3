"""How long an audit takes beside the product of matrices that it cannot do without.

    python benchmarks/audit_speed.py [--faces 100000] [--times 3]

From a store of 100,000 rows (random vectors of clipviz-tiny's width, with FairFace's races, genders and ages at their
own shares) x the 21 labels of fairface_denigration x 7 wordings (as written, four templates, the two controls), by
race, gender and their crossing, with intervals, tests, composition, spread and power, without the self-test: at most
twice the time of the product plus 5 seconds. The product is `Embeddings.similarity` of the same store with the vectors
of the same texts; reading the texts is timed apart, and is part of the audit's time. One thread.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import clipviz
from clipviz.auditing import AuditSpec
from clipviz.auditing.scoring import prompts_of
from clipviz.auditing.wordings import wordings
from clipviz.embedding import layout
from clipviz.embedding.manifest import Manifest, model_facts
from clipviz.text import PromptSet

# FairFace val-00, 3,000 faces: as its columns count them.
GROUPS = {
    "race": {"White": 612, "Black": 436, "East Asian": 436, "Latino_Hispanic": 428, "Indian": 401,
             "Southeast Asian": 387, "Middle Eastern": 300},
    "gender": {"Male": 1540, "Female": 1460},
    "age": {"20-29": 906, "30-39": 668, "40-49": 358, "3-9": 358, "10-19": 321, "50-59": 220, "60-69": 84, "0-2": 53,
            "more than 70": 32},
}  # fmt: skip
TEMPLATES = ("{}", "a picture of {}", "a close-up photo of {}.", "the face of {}")
ALLOWED, PRODUCTS = 5.0, 2


def write_store(folder: Path, rows: int, model: clipviz.Model) -> clipviz.Embeddings:
    """A store as `embed` would write it, of nothing."""
    random = np.random.default_rng(0)
    for part in layout.plan(rows):
        vectors = random.standard_normal((len(part), model.embed_dim)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        np.save(layout.vectors_file(folder, part.number), vectors)
        table = {"id": [f"{i:08d}.jpg" for i in range(part.start, part.stop)]}
        for column, counts in GROUPS.items():
            shares = np.array(list(counts.values()), float)
            table[column] = random.choice(list(counts), len(part), p=shares / shares.sum()).tolist()
        pq.write_table(pa.table(table), layout.rows_file(folder, part.number))
        pq.write_table(pa.table({"id": table["id"]}), layout.record_file(folder, part.number))
    Manifest(
        "images", model_facts(model), {"part_size": layout.PART_SIZE, "dtype": "float32"},
        {"where": "nothing", "fingerprint": "0" * 64}, dict.fromkeys(GROUPS, "string"),
        {"pictures": rows, "done": rows}, True,
    ).write(folder)  # fmt: skip
    return clipviz.Embeddings.load(folder)


def spec_of() -> AuditSpec:
    """fairface_denigration with four templates beside its own, and no other wording but the controls."""
    variants = {"templates": TEMPLATES, "article": False, "case": False, "synonyms": [], "added": [],
                "leave_out": False, "logit_scale": []}  # fmt: skip
    return AuditSpec.load("fairface_denigration").with_(variants=variants)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=3)
    asked = parser.parse_args()
    spec, model = spec_of(), clipviz.load()
    several = wordings(spec)
    prompts = PromptSet(tuple(dict.fromkeys(prompt for one in several for prompt in prompts_of(one))))
    with tempfile.TemporaryDirectory() as folder:
        store = write_store(Path(folder), asked.faces, model)
        texts = model.encode_prompts(prompts)
        clipviz.audit(store.select(range(2000)), spec, model=model, progress=False)  # what is loaded when first used
        products, audits = [], []
        for _ in range(asked.times):
            start = time.perf_counter()
            store.similarity(texts)
            middle = time.perf_counter()
            found = clipviz.audit(store, spec, model=model, progress=False)
            products.append(middle - start)
            audits.append(time.perf_counter() - middle)
    product, audit = statistics.median(products), statistics.median(audits)
    allowed = PRODUCTS * product + ALLOWED
    print(f"{asked.faces:,} faces x {len(spec.labels)} labels x {len(several)} wordings ({len(prompts)} texts): "
          f"{len(found.table):,} figures, {len(found.verdicts)} verdicts")  # fmt: skip
    print(f"product {product:.2f} s, audit {audit:.2f} s; allowed {allowed:.2f} s "
          f"(2 x product + 5): {audit / allowed:.2f} of it")  # fmt: skip


if __name__ == "__main__":
    main()
