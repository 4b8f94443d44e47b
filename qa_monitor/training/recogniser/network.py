"""The recogniser's network: Whisper's architecture, small, with helpers for training.

Sub-modules are named as in Hugging Face's WhisperForConditionalGeneration, so that its
converter takes the weights as they are. `frames` (what the encoder alone hears in each
20 ms) only helps training and is left behind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

# On CPUs the fused kernel's backward pass is the slower one up to about this length.
_LONG = 400


@dataclass(frozen=True)
class Shape:
    """Sizes of the network; the feed-forward layers are four times the width."""

    vocabulary: int
    text_tokens: int
    width: int = 256
    heads: int = 4
    encoder_layers: int = 5
    decoder_layers: int = 3

    @property
    def alignment_heads(self) -> tuple[tuple[int, int], ...]:
        """The cross-attention heads (layer, head) taught to look at the word being written."""
        last = self.decoder_layers - 1
        return ((last - 1, 0), (last - 1, 1), (last, 0))


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def _by_head(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        by_head: Tensor = x.view(batch, length, self.heads, width // self.heads).transpose(1, 2)
        return by_head

    def forward(
        self, x: Tensor, source: Tensor, *, causal: bool = False, looked_at: tuple[int, ...] = ()
    ) -> tuple[Tensor, Tensor | None]:
        """Return the attended values and the weights of the heads in `looked_at`."""
        query = self._by_head(self.q_proj(x)) * (x.shape[-1] // self.heads) ** -0.5
        key, value = self._by_head(self.k_proj(source)), self._by_head(self.v_proj(source))
        seen = None
        if causal or key.shape[2] > _LONG:
            mixed = functional.scaled_dot_product_attention(
                query, key, value, is_causal=causal, scale=1.0
            )
            if looked_at:
                # A second time for these heads alone: the fused kernel keeps no weights.
                chosen = list(looked_at)
                seen = torch.softmax(query[:, chosen] @ key[:, chosen].transpose(-1, -2), -1)
        else:
            weights = torch.softmax(query @ key.transpose(-1, -2), -1)
            mixed = weights @ value
            if looked_at:
                seen = weights[:, list(looked_at)]
        out: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return out, seen


class _EncoderLayer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.self_attn = _Attention(width, heads)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.self_attn_layer_norm(x)
        x = x + self.self_attn(normed, normed)[0]
        added: Tensor = self.fc2(functional.gelu(self.fc1(self.final_layer_norm(x))))
        return x + added


class _DecoderLayer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.self_attn = _Attention(width, heads)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.encoder_attn = _Attention(width, heads)
        self.encoder_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(
        self, x: Tensor, heard: Tensor, dropout: float, looked_at: tuple[int, ...]
    ) -> tuple[Tensor, Tensor | None]:
        normed = self.self_attn_layer_norm(x)
        attended = self.self_attn(normed, normed, causal=True)[0]
        x = x + functional.dropout(attended, dropout, self.training)
        attended, weights = self.encoder_attn(
            self.encoder_attn_layer_norm(x), heard, looked_at=looked_at
        )
        x = x + functional.dropout(attended, dropout, self.training)
        hidden = self.fc2(functional.gelu(self.fc1(self.final_layer_norm(x))))
        return x + functional.dropout(hidden, dropout, self.training), weights


def _sinusoids(length: int, width: int) -> Tensor:
    """Whisper's fixed positions: sines, then cosines, of geometrically slower rates."""
    rates = torch.exp(-math.log(10000.0) / (width // 2 - 1) * torch.arange(width // 2))
    angles = torch.arange(length)[:, None] * rates[None]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _convolve(x: Tensor, layer: nn.Conv1d, stride: int) -> Tensor:
    """Apply the width-3 convolution to (batch, time, channels) as one matrix product.

    On CPUs this is several times faster in bfloat16 than the convolution kernel.
    """
    x = functional.pad(x, (0, 0, 1, 1))
    last = (x.shape[1] - 3) // stride * stride
    taps = torch.cat([x[:, k : k + last + 1 : stride] for k in range(3)], dim=-1)
    return functional.linear(taps, layer.weight.permute(0, 2, 1).flatten(1), layer.bias)


class _Encoder(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(80, shape.width, 3, padding=1)
        self.conv2 = nn.Conv1d(shape.width, shape.width, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(1500, shape.width)
        self.embed_positions.weight.data = _sinusoids(1500, shape.width)
        self.embed_positions.weight.requires_grad_(False)
        self.layers = nn.ModuleList(
            _EncoderLayer(shape.width, shape.heads) for _ in range(shape.encoder_layers)
        )
        self.layer_norm = nn.LayerNorm(shape.width)

    def forward(self, mel: Tensor) -> Tensor:
        x = functional.gelu(_convolve(mel, self.conv1, 1))
        x = functional.gelu(_convolve(x, self.conv2, 2))
        x = x + self.embed_positions.weight[: x.shape[1]].to(x.dtype)
        for layer in self.layers:
            x = layer(x)
        return self.layer_norm(x)  # type: ignore[no-any-return]


class _Decoder(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.embed_positions = nn.Embedding(448, shape.width)
        nn.init.normal_(self.embed_tokens.weight, std=0.02)
        nn.init.normal_(self.embed_positions.weight, std=0.02)
        self.layers = nn.ModuleList(
            _DecoderLayer(shape.width, shape.heads) for _ in range(shape.decoder_layers)
        )
        self.layer_norm = nn.LayerNorm(shape.width)

    def forward(
        self,
        tokens: Tensor,
        heard: Tensor,
        dropout: float = 0.0,
        looked_at: Mapping[int, tuple[int, ...]] | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        x = self.embed_tokens(tokens) + self.embed_positions.weight[: tokens.shape[1]]
        x = functional.dropout(x, dropout, self.training)
        seen: list[Tensor] = []
        for number, layer in enumerate(self.layers):
            x, weights = layer(x, heard, dropout, (looked_at or {}).get(number, ()))
            if weights is not None:
                seen.append(weights)
        return functional.linear(self.layer_norm(x), self.embed_tokens.weight), seen


class _Pair(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.encoder = _Encoder(shape)
        self.decoder = _Decoder(shape)


class Network(nn.Module):
    """The network in training."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.model = _Pair(shape)
        # One class more than there are text tokens: silence.
        self.frames = nn.Linear(shape.width, shape.text_tokens + 1)
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                residual = name.endswith(("out_proj", "fc2"))
                nn.init.normal_(
                    module.weight, std=module.in_features**-0.5 * (0.5 if residual else 1.0)
                )
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def hear(self, mel: Tensor) -> Tensor:
        """Return what the encoder makes of (batch, frames, 80): (batch, frames / 2, width)."""
        return self.model.encoder(mel)  # type: ignore[no-any-return]

    def write(
        self, tokens: Tensor, heard: Tensor, dropout: float = 0.0, *, look: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Return the next token's logits after each of (batch, length) tokens.

        With `look`, also the attention (batch, heads, length, frames / 2) of the alignment
        heads.
        """
        looked_at: dict[int, tuple[int, ...]] = {}
        if look:
            for layer, head in self.shape.alignment_heads:
                looked_at[layer] = (*looked_at.get(layer, ()), head)
        logits, seen = self.model.decoder(tokens, heard, dropout, looked_at)
        return logits, torch.cat(seen, dim=1) if seen else None
