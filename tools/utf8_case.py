#!/usr/bin/env python3
"""Writes src/codec/utf8_case.def: Unicode's simple case mappings as ranges, for codec/utf8_case.c.

    tools/utf8_case.py > src/codec/utf8_case.def

A row CASE(to, first, last, step, delta): first, first + step, …, last map to themselves plus delta.
"""

import sys
import unicodedata


def simple_upper(char):
    """Full mappings of several characters are not simple; the title case is where it is one."""
    for mapped in (char.upper(), char.title()):
        if len(mapped) == 1:
            return mapped
    return char


def simple_lower(char):
    return "i" if char == "\u0130" else char.lower() if len(char.lower()) == 1 else char


def ranges_of(mapping):
    """Neighbours at distance 1 or 2 with one delta become one row."""
    pairs = [(code, ord(mapping(chr(code))) - code) for code in range(0x80, 0x110000)
             if not 0xD800 <= code < 0xE000 and mapping(chr(code)) != chr(code)]
    rows = []
    for code, delta in pairs:
        if rows:
            first, last, step, known = rows[-1]
            gap = code - last
            if known == delta and gap <= 2 and step in (0, gap):
                rows[-1] = (first, code, gap, delta)
                continue
        rows.append((code, code, 0, delta))
    return [(first, last, step or 1, delta) for first, last, step, delta in rows]


def main():
    print(f"// Made by tools/utf8_case.py from Unicode {unicodedata.unidata_version}; ASCII is not in it.")
    for name, mapping in (("LOWER", simple_lower), ("UPPER", simple_upper)):
        for first, last, step, delta in ranges_of(mapping):
            print(f"CASE({name}, 0x{first:04x}, 0x{last:04x}, {step}, {delta})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
