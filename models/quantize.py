"""Crossrank's quantized tensors and the safetensors bytes around them: docs/checkpoint-format.md in numpy."""

import json
import struct

import numpy as np

Q4_BLOCK = 32
DTYPES = {"float32": "F32", "float16": "F16", "int8": "I8", "uint8": "U8"}


def q8(matrix):
    """i8 [out, in] and f32 scales [out]: a row's largest magnitude becomes 127."""
    scales = np.abs(matrix).max(axis=1) / np.float32(127)
    quotients = np.divide(matrix, scales[:, None], out=np.zeros_like(matrix), where=scales[:, None] != 0)
    return np.rint(quotients).clip(-127, 127).astype(np.int8), scales


def q8_of_integers(integers, scale):
    """q8 of `integers` x `scale`: rows that fit keep their integers and the scale, others take the rule of `q8`."""
    fits = np.abs(integers).max(axis=1) <= 127
    values, scales = q8(integers.astype(np.float32) * scale)
    values[fits], scales[fits] = integers[fits], scale
    return values, scales


def q4(matrix):
    """u8 [out, in / 2] and f16 scales [out, in / 32]: a block's value of largest magnitude becomes nibble 0."""
    rows, columns = matrix.shape
    if columns % Q4_BLOCK:
        raise ValueError(f"q4 needs a multiple of {Q4_BLOCK} columns, found {columns}: use q8")
    blocks = matrix.reshape(rows, -1, Q4_BLOCK)
    extremes = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=2)[..., None], axis=2)
    scales = (extremes / np.float32(-8)).astype(np.float16)
    if not np.isfinite(scales).all():
        raise ValueError("q4 needs finite weights whose scales fit f16: use q8")
    steps = scales.astype(np.float32)
    quotients = np.divide(blocks, steps, out=np.zeros_like(blocks), where=steps != 0)
    nibbles = (np.rint(quotients) + 8).clip(0, 15).astype(np.uint8).reshape(rows, columns)
    return nibbles[:, 0::2] | nibbles[:, 1::2] << 4, scales[..., 0]


def safetensors_bytes(tensors, metadata):
    """A safetensors file: widest values first so that all lie aligned, then by name; always the same bytes."""
    header, chunks, offset = {"__metadata__": metadata}, [], 0
    for name, array in sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0])):
        data = np.ascontiguousarray(array).tobytes()
        span = [offset, offset + len(data)]
        header[name] = {"dtype": DTYPES[array.dtype.name], "shape": list(array.shape), "data_offsets": span}
        chunks.append(data)
        offset = span[1]
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(chunks)
