// The literal analysis and RE2 give the same answer, and what is promised of matches holds.
// Input: the pattern up to the first line feed, then texts, one per line.

#include "base/assert.h"
#include "codec/regex_literal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_free) Arena arena = {0};
    Text rest = {(const char *)data, size}, pattern, text;
    if (size == 0 || size > 4096 || !text_cut(&rest, '\n', &pattern)) return 0;
    AUTO(regex_close) Regex *regex = NULL;
    AUTO(regex_close) Regex *engine = NULL;
    Error err = {0};
    bool opened = regex_open(pattern, &regex, &err);
    bool engine_opened = regex_open_engine(pattern, &engine, &err);
    assert(opened || !engine_opened);
    if (!opened || !engine_opened) return 0;
    while (text_cut(&rest, '\n', &text)) {
        bool matches = regex_matches(regex, text);
        assert(matches == regex_matches(engine, text));
        assert(!matches || text_starts_with(text, regex_prefix(regex)));
        assert(!matches || text_starts_with(text, regex_prefix(engine)));
        Texts literals = regex_literals(regex);
        bool found = literals.count == 0;
        for (size_t i = 0; i < literals.count; i++)
            found = found || text_equal(literals.at[i], text);
        assert(!matches || found);
        Text expanded, by_engine;
        bool done = regex_expand(regex, text, TEXT("<$0|$1>"), &arena, &expanded, &err);
        bool done_engine = regex_expand(engine, text, TEXT("<$0|$1>"), &arena, &by_engine, &err);
        assert(done && done_engine && (expanded.at != NULL) == matches);
        // The engine repairs broken UTF-8 in what it captures; the analysis copies it as it is.
        assert(!text_is_utf8(text) || text_equal(expanded, by_engine));
    }
    return 0;
}
