// The literal analysis in front of RE2: what a pattern of a simple family matches, without a
// program.
//
// The family: alternations of literals (`a|b|c`, one or many, escaped punctuation allowed), and one
// literal with `.*` or `.+` on either side. The whole may stand in one pair of parentheses, and
// each alternative between `^` and `$`, which say nothing new in a pattern that is anchored anyway.
// Everything else is left to RE2. Private to codec/regex.c, its test and its fuzzer.
#pragma once

#include "codec/regex.h"

typedef enum LiteralAny { ANY_NOTHING, ANY_STAR, ANY_PLUS } LiteralAny;  // nothing, `.*`, `.+`

typedef struct LiteralPattern {
    Texts literals;  // sorted, unique; the only one when `before` or `after` say more
    LiteralAny before;
    LiteralAny after;
    bool is_group;      // the whole was in capturing parentheses: $1 is the text
    size_t slot_count;  // of `slots`, a power of two; 0 when there are few literals
    uint32_t *slots;    // hash table of index + 1 into `literals`
} LiteralPattern;

// False when the pattern is not of the family. What `out` points at lives on `arena`.
bool literal_analyse(Text pattern, Arena *arena, LiteralPattern *out);
bool literal_matches(const LiteralPattern *pattern, Text text);

// What every match of any pattern begins with, as far as a look at its first characters tells.
Text literal_prefix(Text pattern, Arena *arena);

// regex_open without the analysis: always RE2. For the proof that both agree.
must_use bool regex_open_engine(Text pattern, Regex **out, Error *err);
