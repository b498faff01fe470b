#!/usr/bin/env python3
"""Prints src/codec/number_powers.def: 10^k for k in -292..324 as 128 bits, rounded up.

Each row is POWER(high, low): g = ceil(10^k * 2^-e) with e such that 2^127 <= g < 2^128.
Python's integers are exact, so there is nothing to trust here but arithmetic.
"""

FIRST, LAST = -292, 324


def power(k):
    above, below = (10**k, 1) if k >= 0 else (1, 10**-k)
    shift = 127 - (above.bit_length() - below.bit_length())
    for e in (shift, shift + 1):
        scaled, divisor = (above << e, below) if e >= 0 else (above, below << -e)
        g = -(-scaled // divisor)
        if g.bit_length() == 128:
            return g
    raise AssertionError(k)


print(f"// 10^k for k = {FIRST} to {LAST}, 128 bits, rounded up. Made by tools/number_powers.py; not edited.")
for k in range(FIRST, LAST + 1):
    g = power(k)
    print(f"POWER(0x{g >> 64:016x}, 0x{g & (2**64 - 1):016x})  // 10^{k}")
