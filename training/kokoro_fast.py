"""Kokoro's graph with its generator, two thirds of the work, in bfloat16 by torch: AMX makes it several times faster.

Everything before the generator (durations, F0, the harmonic source) stays as packaged in onnxruntime, so that durations
and F0 are the same to the bit; so does what turns the generator's output into audio.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from services.encoder.model import one_thread
from training.kokoro import plain_session
from training.processor import multiplies_bfloat16

_G = "/decoder/decoder/generator/"
_W = "decoder.decoder.generator."
STATES, _SOURCE = "/decoder/decoder/decode.3/Div_4_output_0", f"{_G}Concat_3_output_0"
_STYLES, _END, _AUDIO = "generator_styles", f"{_G}LeakyRelu_2_output_0", "audio"
_RESIDUALS = ("noise_res.0", "noise_res.1", *(f"resblocks.{n}" for n in range(6)))
_SITES = tuple(f"{block}/adain{half}.{n}" for block in _RESIDUALS for n in range(3) for half in (1, 2))
_EPSILON = 1e-5
_ROWS = 512  # of a pass over activations: its working set stays in the cache

Arrays = dict[str, npt.NDArray[Any]]
Tensors = dict[str, torch.Tensor]


def needed(graph: Any, outputs: tuple[str, ...], given: tuple[str, ...] = ()) -> list[Any]:
    """The nodes that ``outputs`` follow from when ``given`` is fed, in the graph's order."""
    makers = {name: node for node in graph.node for name in node.output}
    wanted: set[str] = set()
    todo = list(outputs)
    while todo:
        name = todo.pop()
        node = makers.get(name)
        if name not in given and node is not None and node.output[0] not in wanted:
            wanted.add(node.output[0])
            todo.extend(node.input)
    return [node for node in graph.node if node.output[0] in wanted]


def part(model: Any, outputs: tuple[str, ...], given: tuple[str, ...] = ()) -> bytes:
    """A part of a model: from its inputs or from ``given`` to ``outputs``."""
    import onnx
    from onnx import helper

    graph = model.graph
    nodes = needed(graph, outputs, given)
    used = {name for node in nodes for name in node.input}
    fed = [i for i in graph.input if i.name in used]
    fed += [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in given]
    made = helper.make_graph(
        nodes,
        "part",
        fed,
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [i for i in graph.initializer if i.name in used],
    )
    whole = helper.make_model(made, opset_imports=model.opset_import, ir_version=model.ir_version)
    return bytes(whole.SerializeToString())


@dataclass(frozen=True, slots=True)
class _Conv:
    """A convolution in bfloat16 over rows (time, channels)."""

    weight: torch.Tensor
    bias: torch.Tensor
    dilation: int

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        reach = self.dilation * (self.weight.shape[-1] // 2)
        image = rows.t()[None, :, None]  # the same memory, seen as a channels-last image of one line
        made = functional.conv2d(image, self.weight, self.bias, padding=(0, reach), dilation=(1, self.dilation))
        return made[0, :, 0].t()


def _weights(model: Any) -> tuple[Tensors, dict[str, _Conv]]:
    """The generator's float tensors by their names, and its residual convolutions, dequantised."""
    from onnx import numpy_helper

    tensors = {i.name: i for i in model.graph.initializer}

    def read(name: str) -> torch.Tensor:
        return torch.from_numpy(np.array(numpy_helper.to_array(tensors[name]), dtype=np.float32))

    floats = {name: read(name) for name in tensors if name.startswith(_W) and name.endswith(".bias")}
    floats |= {name: read(name) for name in tensors if name.startswith(_W) and ".alpha" in name}
    convs = {}
    for node in model.graph.node:
        if node.op_type == "ConvTranspose" and node.name.startswith(f"{_G}ups."):
            floats[node.name] = read(node.input[1])
        if node.op_type != "ConvInteger" or not node.name.startswith(_G):
            continue
        name = node.name.removeprefix(_G).removesuffix("/Conv_quant")
        scale = read(node.input[1].removesuffix("_quantized") + "_scale")
        weight = (read(node.input[1]) - read(node.input[3])) * scale
        bias = floats[_W + name.replace("/", ".") + ".bias"]
        if name.startswith("noise_convs."):
            floats[name] = weight
            continue
        image = weight[:, :, None].bfloat16().contiguous(memory_format=torch.channels_last)
        dilation = next(a.ints[0] for a in node.attribute if a.name == "dilations")
        convs[name] = _Conv(image, bias.bfloat16(), dilation)
    return floats, convs


def _moments(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance of every channel."""
    shift = rows[:_ROWS].float().mean(0)
    total, squares = torch.zeros_like(shift), torch.zeros_like(shift)
    for block in torch.split(rows, _ROWS):
        away = block - shift
        total += away.sum(0)
        squares += away.square_().sum(0)
    mean = total / len(rows)
    return mean + shift, squares / len(rows) - mean * mean


def _activated(rows: torch.Tensor, style: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Adaptive instance normalisation and x + sin²(alpha x) / alpha, in one pass, as bfloat16."""
    gain, offset = style.chunk(2)
    mean, variance = _moments(rows)
    gain = (1.0 + gain) / torch.sqrt(variance + _EPSILON)
    offset = offset - mean * gain
    inverse = 1.0 / alpha
    out = torch.empty(rows.shape, dtype=torch.bfloat16)
    for block, made in zip(torch.split(rows, _ROWS), torch.split(out, _ROWS), strict=True):
        x = torch.addcmul(offset, block, gain)
        made.copy_(x.addcmul_((x * alpha).sin_().square_(), inverse))
    return out


class FastSession:
    """Runs like the onnxruntime session of a Kokoro graph that makes ``audio``, with its generator by torch."""

    def __init__(self, path: Path) -> None:
        import onnx

        model = onnx.load(str(path))
        self._outputs = [o.name for o in model.graph.output]
        self._back = plain_session(part(model, (_AUDIO,), (_END,)))
        self._floats, self._convs = _weights(model)
        styles = [f"{_G}{site}/fc/Gemm_output_0" for site in _SITES]
        model.graph.node.append(onnx.helper.make_node("Concat", styles, [_STYLES], axis=1))
        others = tuple(name for name in self._outputs if name != _AUDIO)
        self._front = plain_session(part(model, (*others, STATES, _SOURCE, _STYLES)))

    def run(self, names: list[str] | None, fed: Arrays) -> list[npt.NDArray[Any]]:
        """As ``InferenceSession.run``: the outputs of these names, or all."""
        wanted = names or self._outputs
        others = [name for name in wanted if name != _AUDIO]
        takes = {i.name for i in self._front.get_inputs()}
        made = self._front.run([*others, STATES, _SOURCE, _STYLES], {k: v for k, v in fed.items() if k in takes})
        found = dict(zip(others, made, strict=False))
        if _AUDIO in wanted:
            with one_thread():
                end = self._generate(*(torch.from_numpy(array[0]) for array in made[-3:]))
            found[_AUDIO] = self._back.run(None, {_END: end})[0]
        return [found[name] for name in wanted]

    @torch.inference_mode()
    def _generate(self, frames: torch.Tensor, source: torch.Tensor, style: torch.Tensor) -> npt.NDArray[np.float32]:
        sizes = [2 * len(self._alpha(site)) for site in _SITES]
        styles = dict(zip(_SITES, torch.split(style, sizes), strict=True))
        coarse = self._residual("noise_res.0", self._noise(0, source, stride=6, pad=3), styles)
        rows = self._raised(0, frames.t(), stride=10, pad=5).add_(coarse)
        rows = self._mean([self._residual(f"resblocks.{n}", rows, styles) for n in range(3)])
        fine = self._residual("noise_res.1", self._noise(1, source, stride=1, pad=0), styles)
        rows = self._raised(1, rows, stride=6, pad=3)
        rows = torch.cat([rows[1:2], rows]).add_(fine)
        rows = self._mean([self._residual(f"resblocks.{n}", rows, styles) for n in range(3, 6)])
        return np.ascontiguousarray(functional.leaky_relu(rows, 0.01).t()[None].numpy())

    def _alpha(self, site: str) -> torch.Tensor:
        return self._floats[_W + site.replace("/adain", ".alpha")].reshape(-1)

    def _noise(self, n: int, source: torch.Tensor, stride: int, pad: int) -> torch.Tensor:
        weight, bias = self._floats[f"noise_convs.{n}"], self._floats[f"{_W}noise_convs.{n}.bias"]
        return functional.conv1d(source[None], weight, bias, stride, pad)[0].t().contiguous()

    def _raised(self, n: int, rows: torch.Tensor, stride: int, pad: int) -> torch.Tensor:
        """The rows at a higher rate."""
        weight, bias = self._floats[f"{_G}ups.{n}/ConvTranspose"], self._floats[f"{_W}ups.{n}.bias"]
        line = functional.leaky_relu(rows, 0.1).t()[None].bfloat16()
        made = functional.conv_transpose1d(line, weight.bfloat16(), bias.bfloat16(), stride, pad)
        return made[0].t().float().contiguous()

    def _residual(self, block: str, rows: torch.Tensor, styles: Tensors) -> torch.Tensor:
        rows = rows.clone()
        for n in range(3):
            inner = rows
            for half in (1, 2):
                site = f"{block}/adain{half}.{n}"
                inner = self._convs[f"{block}/convs{half}.{n}"](_activated(inner, styles[site], self._alpha(site)))
            rows += inner
        return rows

    @staticmethod
    def _mean(parts: list[torch.Tensor]) -> torch.Tensor:
        first, second, third = parts
        return first.add_(second).add_(third).div_(3.0)


def fast() -> bool:
    """Whether this machine is faster with bfloat16 (in tiles three times as fast as the packaged graph, in vectors 1.4
    times or not at all), and nobody asked for the latter."""
    return os.environ.get("MICROTURN_KOKORO_FAST", "1") != "0" and multiplies_bfloat16()
