// Settings: the table, the values, and the layers that set them.

#include "app/settings.h"

#include <ctype.h>

#include "app/settings_set.h"
#include "base/assert.h"
#include "codec/yaml.h"
#include "ingest/scrape/config.h"
#include "os/process.h"

const SettingRow setting_rows[SETTING_COUNT] = {
#define SETTING(name, key, kind, standard, unit, least, most, reload, help) \
    [SETTING_##name] = {TEXT_INIT(key),                                     \
                        SETTING_KIND_##kind,                                \
                        TEXT_INIT(standard),                                \
                        TEXT_INIT(unit),                                    \
                        (least),                                            \
                        (most),                                             \
                        (reload),                                           \
                        TEXT_INIT(help)},
#include "app/settings.def"
#undef SETTING
};

// ---- Values ----

typedef struct UnitRow {
    Text name;
    int64_t factor;
} UnitRow;

static const UnitRow size_units[] = {
    {TEXT_INIT(""), 1},
    {TEXT_INIT("B"), 1},
    {TEXT_INIT("K"), 1024},
    {TEXT_INIT("KB"), 1024},
    {TEXT_INIT("KiB"), 1024},
    {TEXT_INIT("M"), 1048576},
    {TEXT_INIT("MB"), 1048576},
    {TEXT_INIT("MiB"), 1048576},
    {TEXT_INIT("G"), 1073741824},
    {TEXT_INIT("GB"), 1073741824},
    {TEXT_INIT("GiB"), 1073741824},
    {TEXT_INIT("T"), 1099511627776},
    {TEXT_INIT("TB"), 1099511627776},
    {TEXT_INIT("TiB"), 1099511627776},
};

static const UnitRow duration_units[] = {
    {TEXT_INIT("ms"), 1},
    {TEXT_INIT("s"), 1000},
    {TEXT_INIT("m"), 60000},
    {TEXT_INIT("h"), 3600000},
    {TEXT_INIT("d"), 86400000},
    {TEXT_INIT("w"), 604800000},
    {TEXT_INIT("y"), INT64_C(31536000000)},
};

// Digits (and a fraction) in front, a unit behind; *rest is what follows the unit's letters.
static bool take_amount(Text *text, const UnitRow *units, size_t unit_count, int64_t *out) {
    size_t digits = 0;
    while (digits < text->len &&
           (isdigit((unsigned char)text->at[digits]) || text->at[digits] == '.'))
        digits++;
    size_t end = digits;
    while (end < text->len && isalpha((unsigned char)text->at[end])) end++;
    double amount;
    if (digits == 0 || !text_to_f64(text_slice(*text, 0, digits), &amount)) return false;
    Text unit = text_slice(*text, digits, end);
    for (size_t i = 0; i < unit_count; i++) {
        if (!text_equal_ignore_case(units[i].name, unit)) continue;
        double product = amount * (double)units[i].factor;
        if (product >= 9.2e18) return false;
        *out = (int64_t)product;
        *text = text_slice(*text, end, text->len);
        return true;
    }
    return false;
}

bool size_parse(Text text, int64_t *out, Error *err) {
    Text rest = text;
    int64_t value;
    if (!take_amount(&rest, size_units, COUNT(size_units), &value) || rest.len > 0) {
        return error_set(err, ERROR_BAD_INPUT,
                         "\"%.*s\" is not a size; write for example 512MiB or 2GiB",
                         TEXT_ARG(text));
    }
    *out = value;
    return true;
}

// "1h30m"; the units fall from large to small as people write them, which is not checked.
static bool duration_parse(Text text, int64_t *out, Error *err) {
    Text rest = text;
    int64_t sum = 0, part;
    if (text_equal(text, TEXT("0"))) {
        *out = 0;
        return true;
    }
    while (rest.len > 0) {
        if (!take_amount(&rest, duration_units, COUNT(duration_units), &part) ||
            __builtin_add_overflow(sum, part, &sum)) {
            return error_set(err, ERROR_BAD_INPUT,
                             "\"%.*s\" is not a duration; write for example 15s, 5m, 2h or 30d",
                             TEXT_ARG(text));
        }
    }
    if (text.len == 0)
        return error_set(err, ERROR_BAD_INPUT, "the duration is empty; write for example 15s");
    *out = sum;
    return true;
}

static bool switch_parse(Text text, int64_t *out, Error *err) {
    bool on = text_equal(text, TEXT("true")) || text_equal(text, TEXT("yes")) ||
              text_equal(text, TEXT("on"));
    bool off = text_equal(text, TEXT("false")) || text_equal(text, TEXT("no")) ||
               text_equal(text, TEXT("off"));
    if (!on && !off)
        return error_set(err, ERROR_BAD_INPUT, "\"%.*s\" is neither true nor false",
                         TEXT_ARG(text));
    *out = on;
    return true;
}

static bool choice_parse(Text words, Text text, int64_t *out, Error *err) {
    Text rest = words, word;
    for (int64_t place = 0; text_cut(&rest, ' ', &word); place++) {
        if (text_equal(word, text)) {
            *out = place;
            return true;
        }
    }
    return error_set(err, ERROR_BAD_INPUT, "\"%.*s\" is none of: %.*s", TEXT_ARG(text),
                     TEXT_ARG(words));
}

static bool value_parse(const SettingRow *row, Text text, int64_t *out, Error *err) {
    *out = 0;
    uint64_t count;
    switch (row->kind) {
        case SETTING_KIND_TEXT:
            return (int64_t)text.len >= row->least ||
                   error_set(err, ERROR_BAD_INPUT, "the value is empty");
        case SETTING_KIND_SIZE:
            TRY(size_parse(text, out, err));
            break;
        case SETTING_KIND_DURATION:
            TRY(duration_parse(text, out, err));
            break;
        case SETTING_KIND_SWITCH:
            return switch_parse(text, out, err);
        case SETTING_KIND_CHOICE:
            return choice_parse(row->unit, text, out, err);
        case SETTING_KIND_COUNT:
            if (!text_to_u64(text, &count) || count > INT64_MAX)
                return error_set(err, ERROR_BAD_INPUT, "\"%.*s\" is not a whole number",
                                 TEXT_ARG(text));
            *out = (int64_t)count;
            break;
    }
    if (*out < row->least || *out > row->most) {
        return error_set(err, ERROR_BAD_INPUT, "\"%.*s\" is outside the bounds %lld to %lld (%.*s)",
                         TEXT_ARG(text), (long long)row->least, (long long)row->most,
                         TEXT_ARG(row->unit));
    }
    return true;
}

void settings_begin(Settings *settings, Arena *arena) {
    settings->arena = arena;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        SettingValue *value = &settings->values[i];
        Error err;
        bool fine = value_parse(&setting_rows[i], setting_rows[i].standard, &value->number, &err);
        assert(fine);
        value->text = setting_rows[i].standard;
        value->from = TEXT("default");
    }
}

// ---- Names ----

static bool find_by_key(Text key, SettingId *out) {
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (!text_equal(setting_rows[i].key, key)) continue;
        *out = (SettingId)i;
        return true;
    }
    return false;
}

static bool unknown_key(Text key, Error *err) {
    Text nearest = TEXT_NONE;
    size_t best = MIN((size_t)5, key.len / 2 + 1);  // "a" is no slip of "data"
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        size_t far = text_distance(key, setting_rows[i].key);
        if (far < best) {
            best = far;
            nearest = setting_rows[i].key;
        }
    }
    size_t scrape_far;
    Text scrape = scrape_configs_nearest(key, &scrape_far);
    if (scrape_far < best) nearest = scrape;
    if (nearest.at == NULL) {
        return error_set(err, ERROR_BAD_INPUT,
                         "unknown setting \"%.*s\"; `traceo help settings` lists them",
                         TEXT_ARG(key));
    }
    return error_set(err, ERROR_BAD_INPUT, "unknown setting \"%.*s\"; did you mean \"%.*s\"?",
                     TEXT_ARG(key), TEXT_ARG(nearest));
}

static bool set(Settings *settings, SettingId id, Text text, Text from, Error *err) {
    SettingValue value = {.text = text_copy(text, settings->arena),
                          .from = text_copy(from, settings->arena)};
    if (!value_parse(&setting_rows[id], value.text, &value.number, err)) {
        return error_context(err, "%.*s: %.*s", TEXT_ARG(from), TEXT_ARG(setting_rows[id].key));
    }
    settings->values[id] = value;
    return true;
}

bool settings_is_group(Text prefix) {
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        Text key = setting_rows[i].key;
        if (key.len > prefix.len && key.at[prefix.len] == '.' && text_starts_with(key, prefix))
            return true;
    }
    return false;
}

bool settings_takes_names(Text key) {
    SettingId id;
    return find_by_key(key, &id) && setting_rows[id].kind == SETTING_KIND_TEXT &&
           text_equal(setting_rows[id].unit, TEXT("names"));
}

bool settings_check_group(Text prefix, Text from, Error *err) {
    SettingId id;
    if (settings_is_group(prefix) || find_by_key(prefix, &id)) return true;
    unknown_key(prefix, err);
    return error_context(err, "%.*s", TEXT_ARG(from));
}

bool settings_set_key(Settings *settings, Text key, Text text, Text from, Error *err) {
    SettingId id;
    if (find_by_key(key, &id)) return set(settings, id, text, from, err);
    unknown_key(key, err);
    return error_context(err, "%.*s", TEXT_ARG(from));
}

// ---- Environment and flags ----

// "memory.limit" is TRACEO_MEMORY__LIMIT.
static Text environment_name(Text key, Arena *arena) {
    AUTO(builder_free) Builder name = {0};
    builder_add(&name, TEXT("TRACEO_"));
    for (size_t i = 0; i < key.len; i++) {
        if (key.at[i] == '.') {
            builder_add(&name, TEXT("__"));
        } else {
            builder_add_char(&name, (char)toupper((unsigned char)key.at[i]));
        }
    }
    return text_copy(builder_text(&name), arena);
}

bool settings_read_environment(Settings *settings, Error *err) {
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        Text name = environment_name(setting_rows[i].key, settings->arena);
        Text value = environment_get(name.at);
        if (value.at != NULL) TRY(set(settings, (SettingId)i, value, name, err));
    }
    return true;
}

// A flag may be written with the dots of its key or with hyphens: --memory.limit, --memory-limit.
static bool flag_is(Text flag, Text key) {
    if (flag.len != key.len) return false;
    for (size_t i = 0; i < flag.len; i++) {
        bool separator = (key.at[i] == '.' || key.at[i] == '_') && flag.at[i] == '-';
        if (flag.at[i] != key.at[i] && !separator) return false;
    }
    return true;
}

bool settings_read_flag(Settings *settings, Text name, Text value, bool *known, Error *err) {
    *known = false;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (!flag_is(name, setting_rows[i].key)) continue;
        *known = true;
        return set(settings, (SettingId)i, value,
                   text_format(settings->arena, "--%.*s", TEXT_ARG(name)), err);
    }
    return true;
}

// ---- Reading ----

Text settings_text(const Settings *settings, SettingId id) {
    return settings->values[id].text;
}

int64_t settings_number(const Settings *settings, SettingId id) {
    return settings->values[id].number;
}

// A "${" that is meant is written as "$${".
static void print_value(Text text, Builder *out) {
    AUTO(builder_free) Builder escaped = {0};
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '$' && i + 1 < text.len && text.at[i + 1] == '{')
            builder_add_char(&escaped, '$');
        builder_add_char(&escaped, text.at[i]);
    }
    yaml_print_quoted(builder_text(&escaped), out);
}

void settings_print(const Settings *settings, Builder *out) {
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const SettingValue *value = &settings->values[i];
        builder_addf(out, "%.*s: ", TEXT_ARG(setting_rows[i].key));
        print_value(value->text, out);
        builder_addf(out, "  # %.*s\n", TEXT_ARG(value->from));
    }
}
