"""The layers once more, pixel by pixel in Python, to hold the fast ones against."""

from __future__ import annotations

import numpy as np


def convolved(features, ids, weight, bias, stride=1, aware="panoptic"):
    """(C, H, W), (H, W), (O, C, k, k), (O,) -> (O, h, w) float64; the sum over a window, divided by its valid share."""
    channels, height, width = features.shape
    after, _, kernel, _ = weight.shape
    rows, columns = -(-height // stride), -(-width // stride)
    out = np.zeros((after, rows, columns))
    for row in range(rows):
        for column in range(columns):
            y, x = row * stride, column * stride
            total, valid = np.zeros(after), 0
            for i in range(kernel):
                for j in range(kernel):
                    v, u = y + i - kernel // 2, x + j - kernel // 2
                    if not (0 <= v < height and 0 <= u < width):
                        continue
                    if aware == "panoptic" and int(ids[v, u]) != int(ids[y, x]):
                        continue
                    valid += 1
                    for channel in range(channels):
                        total += weight[:, channel, i, j] * features[channel, v, u]
            factor = 1.0 if aware == "plain" else kernel * kernel / valid
            out[:, row, column] = total * factor + bias
    return out


def upsampled(features, ids, above, cells):
    """(C, h, w), (h, w), (2h, 2w) -> (C, 2h, 2w) float64 and (2h, 2w) bool, False at holes, where features are 0."""
    channels, height, width = features.shape
    out, matched = np.zeros((channels, 2 * height, 2 * width)), np.zeros((2 * height, 2 * width), bool)
    for row in range(2 * height):
        for column in range(2 * width):
            for down, right in cells:
                y, x = row // 2 + down, column // 2 + right
                if 0 <= y < height and 0 <= x < width and int(ids[y, x]) == int(above[row, column]):
                    out[:, row, column], matched[row, column] = features[:, y, x], True
                    break
    return out, matched
