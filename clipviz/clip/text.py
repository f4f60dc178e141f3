"""The two text encoders of the paper: a causal transformer read off at the end-of-text token, and a bag of words."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .config import CBOWConfig, TextConfig
from .taps import BLIND, Attend, Taps, check_attend
from .tower import Tower
from .transformer import Transformer, stream_before


class TextTransformer(Tower):
    """Token ids [N, L], L up to the context length -> embeddings [N, E], not normalised.

    Because attention is causal and the text is read off at the end-of-text token, what follows that
    token changes nothing: ids may be cut after the longest text of a batch.
    """

    def __init__(self, config: TextConfig, embed_dim: int, quick_gelu: bool):
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.width)
        self.positional_embedding = nn.Parameter(torch.empty(config.context_length, config.width))
        self.transformer = Transformer(config.width, config.layers, config.heads, 4.0, quick_gelu)
        self.ln_final = nn.LayerNorm(config.width)
        self.text_projection = nn.Parameter(torch.empty(config.width, embed_dim))

    def forward(self, tokens: Tensor, see: Taps = BLIND, attend: Mapping[int, Attend] | None = None) -> Tensor:
        end = see("end", tokens.argmax(dim=-1))  # [N]; the end-of-text token has the highest id
        return self._blocks(see("embed", self.embed(tokens)), see, attend, end, start=0)

    def embed(self, tokens: Tensor) -> Tensor:
        return self.token_embedding(tokens) + self.positional_embedding[: tokens.shape[1]]  # [N, L, D]

    def _blocks(self, x: Tensor, see: Taps, attend: Mapping[int, Attend] | None, end: Tensor, start: int) -> Tensor:
        x = self.transformer(x, see, attend, causal=True, start=start)  # [N, L, D]
        x = self.ln_final(x[torch.arange(x.shape[0], device=x.device), end])
        return see("features", x) @ self.text_projection  # [N, D] -> [N, E]

    def taps(self) -> list[str]:
        return ["embed", *self.transformer.taps(), "features"]

    def beside(self, tap: str) -> list[str]:
        return [] if tap == "features" else ["end", *stream_before(tap)]

    def resume(
        self, tap: str, value: Tensor, held: Mapping[str, Tensor], attend: Mapping[int, Attend] | None
    ) -> Tensor:
        if tap == "features":
            return value @ self.text_projection
        if tap == "embed":
            return self._blocks(value, BLIND, attend, held["end"], start=0)
        i = int(tap.split(".")[1])
        if tap == f"block.{i}":
            return self._blocks(value, BLIND, attend, held["end"], start=i + 1)
        stream = held[stream_before(tap)[0]]
        return self._blocks(stream, Taps(instead={tap: value}), attend, held["end"], start=i)


class CBOW(Tower):
    """A continuous bag of words (Mikolov et al. 2013): token ids [N, L] -> embeddings [N, E], not normalised.

    The mean of the embeddings of the caption's tokens, projected. Start and end token count among them, as
    they do for the transformer (so that the empty caption has a mean); what follows the end is padding and
    does not, whatever its id. The order of the words makes no difference.
    """

    def __init__(self, config: CBOWConfig, embed_dim: int):
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.width)
        self.text_projection = nn.Parameter(torch.empty(config.width, embed_dim))

    def forward(self, tokens: Tensor, see: Taps = BLIND, attend: Mapping[int, Attend] | None = None) -> Tensor:
        check_attend(attend, ())
        end = see("end", tokens.argmax(dim=-1))  # [N]; the end-of-text token has the highest id
        return self._mean(see("embed", self.token_embedding(tokens)), end, see)

    def _mean(self, x: Tensor, end: Tensor, see: Taps) -> Tensor:
        inside = torch.arange(x.shape[1], device=x.device) <= end[:, None]  # [N, L]
        x = (x * inside[:, :, None]).sum(dim=1) / (end + 1)[:, None]
        return see("features", x) @ self.text_projection  # [N, D] -> [N, E]

    def taps(self) -> list[str]:
        return ["embed", "features"]

    def beside(self, tap: str) -> list[str]:
        return ["end"] if tap == "embed" else []

    def resume(
        self, tap: str, value: Tensor, held: Mapping[str, Tensor], attend: Mapping[int, Attend] | None
    ) -> Tensor:
        check_attend(attend, ())
        return value @ self.text_projection if tap == "features" else self._mean(value, held["end"], BLIND)
