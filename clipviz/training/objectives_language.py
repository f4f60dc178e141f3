"""A language model of the caption that looks at the picture, one of the three objectives compared."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..clip.taps import BLIND
from ..clip.transformer import MLP, Attention
from ..clip.vit import VisionTransformer
from .batches import Batch
from .objectives import Classes, Objective, colours


class LanguageModel(Objective):
    """A small causal transformer that writes the caption while it looks at all places of the picture.

    As in VirTex (Desai and Johnson 2021, arXiv 2006.06666): it attends to the image tower's last features of
    all patches, and its output layer is its token embedding. Unlike VirTex it writes from left to right only, and
    its blocks normalise first, as the rest of CLIP's.

    A class is scored by log p(its caption | picture), end included: the "sum" over its tokens, or their "mean".
    """

    def __init__(self, visual: VisionTransformer, vocabulary: int, context: int, width: int, layers: int, heads: int):
        super().__init__()
        self.visual = visual
        self.look = nn.Linear(visual.config.width, width)
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.positional_embedding = nn.Parameter(0.01 * torch.randn(context, width))
        self.blocks = nn.ModuleList(Writer(width, heads) for _ in range(layers))
        self.ln_final = nn.LayerNorm(width)
        nn.init.normal_(self.token_embedding.weight, std=0.02)

    def loss(self, batch: Batch) -> Tensor:
        tokens = batch.tokens
        said, next_one = tokens[:, :-1], tokens[:, 1:]  # [n, L - 1]
        counts = torch.arange(1, tokens.shape[1]) <= tokens.argmax(dim=1, keepdim=True)  # the end is the highest
        logits = self.next_tokens(self.see(colours(batch.pixels), batch.keep), *plain(said))
        return F.cross_entropy(logits[counts], next_one[counts])

    def scores(self, pixels: Tensor, classes: Classes) -> dict[str, Tensor]:
        tree = Tree.of(classes.captions)
        logits = self.next_tokens(self.see(colours(pixels)), tree.tokens[None], tree.depth, tree.sees)  # [n, T, V]
        found = logits[:, tree.after, tree.said] - logits.logsumexp(dim=-1)[:, tree.after]  # [n, what is said]
        total = found.new_zeros(len(found), len(classes.captions)).index_add_(1, tree.caption, found)
        return {"sum": total, "mean": total / torch.bincount(tree.caption)}

    def see(self, pictures: Tensor, keep: Tensor | None = None) -> Tensor:
        """What the decoder looks at, [n, 1 + patches, W]: the image tower's last features at every place."""
        stream = self.visual.transformer(self.visual.embed(pictures, keep))  # [n, 1 + patches, D]
        return self.look(self.visual.ln_post(stream))

    def next_tokens(self, places: Tensor, tokens: Tensor, depth: Tensor, sees: Tensor) -> Tensor:
        """Logits of the token after each token, [n, L, V], for tokens [n, L], or [1, L] that are said of all pictures.

        ``depth`` [L] is each token's place in its caption; ``sees`` bool [L, L], what it follows and itself.
        """
        x = self.token_embedding(tokens) + self.positional_embedding[depth]
        for block in self.blocks:
            x = block(x, places, sees)
        return self.ln_final(x) @ self.token_embedding.weight.T


class Writer(nn.Module):
    """A block that attends to the caption so far, then to the picture, then thinks (Vaswani et al. 2017)."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2, self.ln_3 = (nn.LayerNorm(width) for _ in range(3))
        self.attn = Attention(width, heads)
        self.ask, self.show, self.tell = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.mlp = MLP(width, 4 * width, quick_gelu=True)

    def forward(self, x: Tensor, places: Tensor, sees: Tensor) -> Tensor:
        def so_far(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return F.scaled_dot_product_attention(q, k, v, attn_mask=sees)

        x = x + self.attn(self.ln_1(x), "", BLIND, so_far, causal=True, first=False)  # [n or 1, L, W]
        q = self._split(self.ask(self.ln_2(x))).expand(len(places), -1, -1, -1)  # [n, H, L, W / H]
        k, v = (self._split(t) for t in self.show(places).chunk(2, dim=-1))  # [n, H, 1 + patches, W / H]
        x = x + self.tell(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))  # [n, L, W]
        return x + self.mlp(self.ln_3(x))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


@dataclass(frozen=True)
class Tree:
    """Captions folded where they begin alike, so that a picture is asked once for all of them.

    Node ``t`` stands for a beginning: its last token ``tokens`` [T], that token's place ``depth`` [T], and the
    nodes that it continues, itself among them, ``sees`` bool [T, T]. Each saying is a token ``said`` after the
    node ``after``, in the caption ``caption``.
    """

    tokens: Tensor
    depth: Tensor
    sees: Tensor
    after: Tensor
    said: Tensor
    caption: Tensor

    @staticmethod
    def of(captions: Tensor) -> Tree:
        """The tree of captions [C, L], rows of tokens that end with the highest one."""
        nodes: dict[tuple[int, ...], int] = {}
        sayings = []
        for number, (row, end) in enumerate(zip(captions.tolist(), captions.argmax(dim=1).tolist(), strict=True)):
            for place in range(end):
                beginning = tuple(row[: place + 1])
                sayings.append((nodes.setdefault(beginning, len(nodes)), row[place + 1], number))
        sees = torch.zeros(len(nodes), len(nodes), dtype=torch.bool)
        for beginning, node in nodes.items():
            sees[node, [nodes[beginning[:length]] for length in range(1, len(beginning) + 1)]] = True
        after, said, caption = torch.tensor(sayings).T
        tokens = torch.tensor([beginning[-1] for beginning in nodes])
        depth = torch.tensor([len(beginning) - 1 for beginning in nodes])
        return Tree(tokens, depth, sees, after, said, caption)


def plain(tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens [n, L], each following all before it, as `LanguageModel.next_tokens` takes them."""
    length = tokens.shape[1]
    return tokens, torch.arange(length), torch.ones(length, length, dtype=torch.bool).tril()
