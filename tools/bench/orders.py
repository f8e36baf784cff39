# SPDX-License-Identifier: MIT
"""In which order things are measured, round by round."""

import itertools


def all_orders(items):
    """Every order of `items`. Whoever comes next finds the memory that the one before has freed;
    so each is first once in as many rounds as there are items, and behind each other one in time.
    """
    first, *others = items
    return [
        rotated
        for rest in itertools.permutations(others)
        for order in [[first, *rest]]
        for rotated in (order[turn:] + order[:turn] for turn in range(len(order)))
    ]
