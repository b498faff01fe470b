// Memory: /proc/meminfo and /proc/vmstat, one metric per field of the kernel.

#include "ingest/host/scrape.h"

// "Active(anon):  1234 kB" is node_memory_Active_anon_bytes; without a unit the name has no _bytes.
bool collect_meminfo(Scrape *scrape, Error *err) {
    Text rest, line, field, unit;
    TRY(read_proc(scrape, "meminfo", &rest, err));
    while (next_line(&rest, &line)) {
        if (!next_word(&line, &field) || field.at[field.len - 1] != ':') continue;
        double value = next_number(&line);
        bool in_kb = next_word(&line, &unit) && text_equal(unit, TEXT("kB"));
        AUTO(builder_free) Builder name = {0};
        builder_add(&name, TEXT("node_memory_"));
        for (size_t i = 0; i + 1 < field.len; i++) {
            if (field.at[i] == '(') builder_add_char(&name, '_');
            if (field.at[i] != '(' && field.at[i] != ')') builder_add_char(&name, field.at[i]);
        }
        if (in_kb) builder_add(&name, TEXT("_bytes"));
        emit_one(scrape, builder_text(&name), in_kb ? value * 1024 : value);
        describe(
            scrape, builder_text(&name), TYPE_GAUGE,
            text_format(scrape->arena, "The field %.*s of the kernel's /proc/meminfo%s.",
                        TEXT_ARG(text_slice(field, 0, field.len - 1)), in_kb ? ", in bytes" : ""));
    }
    return true;
}

bool collect_vmstat(Scrape *scrape, Error *err) {
    Text rest, line, field;
    TRY(read_proc(scrape, "vmstat", &rest, err));
    while (next_line(&rest, &line)) {
        if (!next_word(&line, &field)) continue;
        bool wanted = text_starts_with(field, TEXT("oom_kill")) ||
                      text_starts_with(field, TEXT("pgpg")) ||
                      text_starts_with(field, TEXT("pswp")) ||
                      (text_starts_with(field, TEXT("pg")) && text_ends_with(field, TEXT("fault")));
        if (!wanted) continue;
        Text name = text_format(scrape->arena, "node_vmstat_%.*s", TEXT_ARG(field));
        emit_one(scrape, name, next_number(&line));
        describe(scrape, name, TYPE_UNKNOWN,
                 text_format(scrape->arena, "The field %.*s of the kernel's /proc/vmstat.",
                             TEXT_ARG(field)));
    }
    return true;
}
