"""Figure 3 of the paper, line by line: each line of its pseudocode, and under it ours.

The towers stand whole in `model`. Training computes the same loss with what large batches need.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .model import CLIP

FIGURE_3 = """
# image_encoder - ResNet or Vision Transformer
# text_encoder - CBOW or Text Transformer
# I[n, h, w, c] - minibatch of aligned images
# T[n, l] - minibatch of aligned texts
# W_i[d_i, d_e] - learned proj of image to embed
# W_t[d_t, d_e] - learned proj of text to embed
# t - learned temperature parameter

# extract feature representations of each modality
I_f = image_encoder(I) #[n, d_i]
T_f = text_encoder(T) #[n, d_t]

# joint multimodal embedding [n, d_e]
I_e = l2_normalize(np.dot(I_f, W_i), axis=1)
T_e = l2_normalize(np.dot(T_f, W_t), axis=1)

# scaled pairwise cosine similarities [n, n]
logits = np.dot(I_e, T_e.T) * np.exp(t)

# symmetric loss function
labels = np.arange(n)
loss_i = cross_entropy_loss(logits, labels, axis=0)
loss_t = cross_entropy_loss(logits, labels, axis=1)
loss = (loss_i + loss_t)/2
"""


def loss(clip: CLIP, pixels: Tensor, tokens: Tensor) -> Tensor:
    """The loss [] of aligned pictures [n, 3, S, S] and texts [n, L]: natural logarithms, mean over the batch.

    In `CLIP` itself the towers end with their projection, and `CLIP.forward` with the unit vectors; here the
    steps are taken apart as the paper writes them. A ResNet's projection has a bias beside ``W_i``.
    """
    # I_f = image_encoder(I) #[n, d_i]
    image_features = clip.visual.trace(pixels, want=["features"])["features"]
    # T_f = text_encoder(T) #[n, d_t]
    text_features = clip.text.trace(tokens, want=["features"])["features"]

    # I_e = l2_normalize(np.dot(I_f, W_i), axis=1)
    images = F.normalize(clip.visual.tail("features", image_features, {}), dim=1)
    # T_e = l2_normalize(np.dot(T_f, W_t), axis=1)
    texts = F.normalize(clip.text.tail("features", text_features, {}), dim=1)

    # logits = np.dot(I_e, T_e.T) * np.exp(t)
    logits = images @ texts.T * clip.logit_scale.exp()

    # labels = np.arange(n)
    labels = torch.arange(len(pixels), device=logits.device)
    # loss_i = cross_entropy_loss(logits, labels, axis=0)
    over_images = F.cross_entropy(logits.T, labels)
    # loss_t = cross_entropy_loss(logits, labels, axis=1)
    over_texts = F.cross_entropy(logits, labels)
    # loss = (loss_i + loss_t)/2
    return (over_images + over_texts) / 2
