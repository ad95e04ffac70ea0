"""python -m unittest discover models: docs/checkpoint-format.md, rule by rule."""

import json
import unittest

import numpy as np

import quantize


def read_q4(values, scales):
    nibbles = np.stack([values & 15, values >> 4], axis=-1).reshape(len(values), -1, quantize.Q4_BLOCK)
    return ((nibbles.astype(np.float32) - 8) * scales.astype(np.float32)[..., None]).reshape(len(values), -1)


class Quantize(unittest.TestCase):
    def setUp(self):
        self.matrix = np.random.default_rng(7).normal(size=(5, 64)).astype(np.float32)

    def test_q8_is_within_half_a_step_of_its_row(self):
        values, scales = quantize.q8(self.matrix)
        error = np.abs(values * scales[:, None] - self.matrix)
        # A little over half, for the division's own rounding.
        self.assertTrue((error <= 0.5001 * scales[:, None]).all())
        self.assertEqual(np.abs(values).max(axis=1).tolist(), [127] * 5)

    def test_q8_rounds_halves_to_even(self):
        values, _ = quantize.q8(np.array([[127, 0.5, 1.5, -2.5]], dtype=np.float32))
        self.assertEqual(values.tolist(), [[127, 0, 2, -2]])

    def test_integers_that_fit_keep_their_scale_and_others_are_rounded_anew(self):
        values, scales = quantize.q8_of_integers(np.array([[127, -3], [254, 2]], dtype=np.int16), np.float32(0.5))
        self.assertEqual((values.tolist(), scales.tolist()), ([[127, -3], [127, 1]], [0.5, 1.0]))

    def test_q4_is_within_one_step_of_its_block(self):
        values, scales = quantize.q4(self.matrix)
        steps = np.repeat(np.abs(scales.astype(np.float32)), quantize.Q4_BLOCK, axis=1)
        # One step where the extreme's far side has 7 levels, and f16's rounding of the scale.
        self.assertTrue((np.abs(read_q4(values, scales) - self.matrix) <= 1.01 * steps).all())

    def test_q4_packs_the_even_column_low_and_the_extreme_as_nibble_zero(self):
        matrix = np.zeros((1, 32), dtype=np.float32)
        matrix[0, :2] = -8, 7
        values, scales = quantize.q4(matrix)
        self.assertEqual((values[0, 0], values[0, 1], scales[0, 0]), (0xF0, 0x88, 1))

    def test_zeros_stay_zero(self):
        zeros = np.zeros((1, 32), dtype=np.float32)
        self.assertFalse(quantize.q8(zeros)[0].any())
        self.assertFalse(read_q4(*quantize.q4(zeros)).any())

    def test_q4_refuses_a_width_that_is_no_multiple_of_32(self):
        with self.assertRaisesRegex(ValueError, "found 48"):
            quantize.q4(np.zeros((1, 48), dtype=np.float32))

    def test_q4_refuses_what_no_f16_scale_can_hold(self):
        with self.assertRaisesRegex(ValueError, "f16"), np.errstate(over="ignore"):
            quantize.q4(np.full((1, 32), 1e6, dtype=np.float32))

    def test_a_file_is_aligned_and_ends_where_its_header_says(self):
        file = quantize.safetensors_bytes({"b": np.zeros(3, np.int8), "a": np.zeros(2, np.float32)}, {"k": "v"})
        length = int.from_bytes(file[:8], "little")
        header = json.loads(file[8 : 8 + length])
        self.assertEqual(length % 8, 0)
        self.assertEqual((header["a"]["data_offsets"], header["b"]["data_offsets"]), ([0, 8], [8, 11]))
        self.assertEqual(len(file), 8 + length + 11)


if __name__ == "__main__":
    unittest.main()
