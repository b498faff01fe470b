// RE2 behind C; the only C++ of the tree.

#include "codec/regex_engine.h"

#include <new>
#include <string>

#include <re2/re2.h>

namespace {

// RE2 gives two thirds of this to programs and one third to the states it meets while matching.
const int64_t MEMORY_BYTES_MAX = 8 << 20;

re2::RE2::Options engine_options() {
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(MEMORY_BYTES_MAX);
    options.set_never_nl(false);
    options.set_encoding(re2::RE2::Options::EncodingUTF8);
    return options;
}

re2::StringPiece piece(Text text) {
    return re2::StringPiece(text.at == nullptr ? "" : text.at, text.len);
}

}  // namespace

struct RegexEngine {
    re2::RE2 re2;
    explicit RegexEngine(Text pattern) : re2(piece(pattern), engine_options()) {}
};

RegexEngine *regex_engine_open(Text pattern, size_t states_max, char *reason, size_t reason_len) {
    RegexEngine *engine = new (std::nothrow) RegexEngine(pattern);
    if (engine == nullptr) {
        snprintf(reason, reason_len, "out of memory");
        return nullptr;
    }
    if (!engine->re2.ok()) {
        snprintf(reason, reason_len, "%s", engine->re2.error().c_str());
        delete engine;
        return nullptr;
    }
    size_t states = static_cast<size_t>(engine->re2.ProgramSize());
    if (states > states_max) {
        snprintf(reason, reason_len, "%zu states, more than limit QUERY_REGEX_STATES (%zu)", states,
                 states_max);
        delete engine;
        return nullptr;
    }
    return engine;
}

void regex_engine_close(RegexEngine *engine) {
    delete engine;
}

bool regex_engine_matches(const RegexEngine *engine, Text text) {
    return engine->re2.Match(piece(text), 0, text.len, re2::RE2::UNANCHORED, nullptr, 0);
}

bool regex_engine_groups(const RegexEngine *engine, Text text, Text *groups, size_t count) {
    re2::StringPiece found[REGEX_GROUPS_MAX];
    if (count > REGEX_GROUPS_MAX) count = REGEX_GROUPS_MAX;
    if (!engine->re2.Match(piece(text), 0, text.len, re2::RE2::UNANCHORED, found,
                           static_cast<int>(count)))
        return false;
    for (size_t i = 0; i < count; i++) groups[i] = Text{found[i].data(), found[i].size()};
    return true;
}

size_t regex_engine_group_count(const RegexEngine *engine) {
    return static_cast<size_t>(engine->re2.NumberOfCapturingGroups()) + 1;
}

int regex_engine_group_named(const RegexEngine *engine, Text name) {
    const auto &groups = engine->re2.NamedCapturingGroups();
    auto found = groups.find(std::string(name.at, name.len));
    return found == groups.end() ? -1 : found->second;
}

bool regex_engine_is_name(Text rune) {
    static const re2::RE2 letter_or_digit("[\\pL\\p{Nd}]", engine_options());
    return letter_or_digit.Match(piece(rune), 0, rune.len, re2::RE2::ANCHOR_BOTH, nullptr, 0);
}
