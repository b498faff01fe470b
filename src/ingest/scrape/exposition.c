// Which format a page is in.

#include "ingest/scrape/exposition.h"

// type -> token '/' token; the rest behind ';' are parameters, which must be there if announced.
static bool media_type(Text content_type, Text *out) {
    Text rest = content_type;
    if (!text_cut(&rest, ';', out)) return false;
    *out = text_trim(*out);
    ptrdiff_t slash = text_find_char(*out, '/');
    return slash > 0 && (size_t)slash + 1 < out->len &&
           text_find_char(text_slice(*out, (size_t)slash + 1, out->len), '/') < 0 &&
           text_find_char(*out, ' ') < 0;
}

bool exposition_choose(Text content_type, ExpositionFormat fallback, ExpositionFormat *out,
                       Error *err) {
    static const struct {
        Text name;
        ExpositionFormat format;
    } known[] = {
        {TEXT_INIT("text/plain"), EXPOSITION_TEXT},
        {TEXT_INIT("application/openmetrics-text"), EXPOSITION_OPENMETRICS},
        {TEXT_INIT("application/vnd.google.protobuf"), EXPOSITION_PROTOBUF},
    };
    Text type = TEXT_NONE;
    bool whole = media_type(content_type, &type);
    for (size_t i = 0; whole && i < COUNT(known); i++) {
        if (!text_equal_ignore_case(type, known[i].name)) continue;
        *out = known[i].format;
        return true;
    }
    *out = fallback;
    if (fallback != EXPOSITION_NONE) return true;
    if (content_type.len == 0) {
        return error_set(err, ERROR_BAD_INPUT,
                         "the target does not say what format its page is in (no Content-Type); "
                         "set fallback_scrape_protocol for this job, for example to "
                         "PrometheusText0.0.4");
    }
    Text shown = text_slice(content_type, 0, 100);
    return error_set(err, ERROR_BAD_INPUT,
                     "the target's page is \"%.*s\", which is no exposition format; is the path "
                     "right? If it is, set fallback_scrape_protocol for this job",
                     TEXT_ARG(shown));
}
