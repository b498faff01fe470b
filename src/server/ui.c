// The page: its files out of the table in the binary, or from a folder while it is being written.
//
// Everything here is public: the page has no data in it. What it shows it asks of the API, with a
// key.
//
//   /ui/assets/index-DFQeuXO5.js   the name holds the hash: kept by browsers for ever
//   /ui/icon.svg                   asked for again each time, answered 304 by its tag
//   /ui/explore                    no file: the page itself, which looks at the path

#include "base/hash.h"
#include "os/disk.h"
#include "server/serve.h"

enum { UI_FILE_BYTES_MAX = 16 * MB };  // of a file in web.ui_dir

// Scripts, styles and data from this server only, nothing inline, no frame around it. Styles that
// scripts set through the object model need no permission.
static const Text page_policy = TEXT_INIT(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src "
    "'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'");

static const struct {
    Text suffix, type;
} media_types[] = {
    {TEXT_INIT(".css"), TEXT_INIT("text/css; charset=utf-8")},
    {TEXT_INIT(".html"), TEXT_INIT("text/html; charset=utf-8")},
    {TEXT_INIT(".js"), TEXT_INIT("text/javascript; charset=utf-8")},
    {TEXT_INIT(".json"), TEXT_INIT("application/json")},
    {TEXT_INIT(".png"), TEXT_INIT("image/png")},
    {TEXT_INIT(".svg"), TEXT_INIT("image/svg+xml")},
    {TEXT_INIT(".woff2"), TEXT_INIT("font/woff2")},
};

static Text media_type(Text path) {
    for (size_t i = 0; i < COUNT(media_types); i++) {
        if (text_ends_with(path, media_types[i].suffix)) return media_types[i].type;
    }
    return TEXT("application/octet-stream");
}

// ---- Finding a file ----

// Letters, digits and -_. in segments that do not begin with a dot: nothing that could leave the
// folder.
static bool path_is_plain(Text path) {
    Text segment;
    for (Text rest = path; text_cut(&rest, '/', &segment);) {
        if (segment.len == 0 || segment.at[0] == '.') return false;
        for (size_t i = 0; i < segment.len; i++) {
            char c = segment.at[i];
            bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                         (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
            if (!plain) return false;
        }
    }
    return true;
}

static bool find_embedded(const UiFiles *files, Text path, UiFile *out) {
    size_t from = 0, to = files->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = text_compare(files->at[middle].path, path);
        if (order == 0) {
            *out = files->at[middle];
            return true;
        }
        if (order < 0) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return false;
}

static bool find_on_disk(Text folder, Text path, Arena *arena, UiFile *out) {
    if (!path_is_plain(path)) return false;
    Error ignored;
    Bytes content;
    Text full = text_format(arena, "%.*s/%.*s", TEXT_ARG(folder), TEXT_ARG(path));
    if (!disk_read_whole(disk_real(), full, UI_FILE_BYTES_MAX, arena, &content, &ignored))
        return false;
    uint64_t hash = hash_keyed((HashKey){0}, content);
    *out = (UiFile){.path = path,
                    .type = media_type(path),
                    .tag = text_format(arena, "%016llx", (unsigned long long)hash)};
    out->bodies[UI_IDENTITY] = bytes_text(content);
    return true;
}

static bool find_file(Request *request, Text path, UiFile *out) {
    const ServerOptions *options = &request->server->options;
    if (options->ui_folder.len > 0)
        return find_on_disk(options->ui_folder, path, request->exchange->arena, out);
    return find_embedded(&options->ui, path, out);
}

// ---- Answering ----

static void page_headers(Request *request) {
    request->policy = page_policy;
    request_add_header(request, TEXT("Cross-Origin-Opener-Policy"), TEXT("same-origin"));
    request_add_header(request, TEXT("Cross-Origin-Resource-Policy"), TEXT("same-origin"));
}

// The best coding that the client takes and the file has.
static UiCoding choose_coding(const Request *request, const UiFile *file) {
    static const Text names[UI_CODING_COUNT] = {
        [UI_GZIP] = TEXT_INIT("gzip"), [UI_BROTLI] = TEXT_INIT("br")};
    for (UiCoding coding = UI_BROTLI; coding > UI_IDENTITY; coding--) {
        if (file->bodies[coding].at != NULL && request_accepts_coding(request, names[coding]))
            return coding;
    }
    return UI_IDENTITY;
}

static void answer_file(Request *request, const UiFile *file) {
    static const Text marks[UI_CODING_COUNT] = {[UI_IDENTITY] = TEXT_INIT(""),
                                                [UI_GZIP] = TEXT_INIT("-gz"),
                                                [UI_BROTLI] = TEXT_INIT("-br")};
    UiCoding coding = choose_coding(request, file);
    Text tag = text_format(request->exchange->arena, "\"%.*s%.*s\"", TEXT_ARG(file->tag),
                           TEXT_ARG(marks[coding]));
    page_headers(request);
    request_add_header(request, TEXT("ETag"), tag);
    request_add_header(request, TEXT("Vary"), TEXT("Accept-Encoding"));
    bool hashed = text_starts_with(file->path, TEXT("assets/"));
    request->cache = hashed && request->server->options.ui_folder.len == 0
                         ? TEXT("public, max-age=31536000, immutable")
                         : TEXT("no-cache");
    if (request_has_tag(request, tag)) {
        request->status = 304;
        return;
    }
    if (coding != UI_IDENTITY)
        request_add_header(request, TEXT("Content-Encoding"),
                           coding == UI_BROTLI ? TEXT("br") : TEXT("gzip"));
    request->content_type = file->type;
    request->text = file->bodies[coding];
}

// What a binary without the page says in its place.
static void answer_missing(Request *request) {
    const ServerOptions *options = &request->server->options;
    page_headers(request);
    request->status = 404;
    request->content_type = TEXT("text/plain; charset=utf-8");
    Builder *out = &request->body;
    builder_add(out, TEXT("This Traceo has no page in it: "));
    Text why = options->ui.missing;
    if (options->ui_folder.len > 0) why = TEXT("web.ui_dir names a folder without index.html");
    builder_add(out, why.len > 0 ? why : TEXT("it was built without one"));
    builder_add(
        out,
        TEXT(".\n\nTo have it, install Node 18 or newer with npm (Debian: apt install nodejs npm) "
             "and "
             "build again:\n\n    make build\n\nEverything else works without it. To ask from the "
             "shell:\n\n    traceo query node_load1\n"));
}

static void redirect(Request *request, Text to) {
    page_headers(request);
    request->status = 302;
    request->cache = TEXT("no-cache");
    request_add_header(request, TEXT("Location"), to);
}

bool serve_ui_root(Request *request, Error *err) {
    (void)err;
    redirect(request, TEXT("/ui/"));
    return true;
}

bool serve_ui(Request *request, Error *err) {
    Text path = request->name;
    UiFile file;
    if (path.len > 0 && find_file(request, path, &file)) {
        answer_file(request, &file);
        return true;
    }
    // A place within the page is no file; a name with a dot is one that is not there.
    if (text_find_char(path, '.') >= 0)
        return error_set(err, ERROR_NOT_FOUND, "there is no file %.*s", TEXT_ARG(path));
    if (find_file(request, TEXT("index.html"), &file)) {
        answer_file(request, &file);
    } else {
        answer_missing(request);
    }
    return true;
}

// ---- The root ----

// Browsers say that they want HTML; programs (curl, Grafana) say */* or nothing.
bool ui_is_wanted_at_root(const Request *request) {
    const HttpExchange *exchange = request->exchange;
    return request->route != NULL && request->route->id == ROUTE_ROOT &&
           exchange->head.method == HTTP_GET &&
           text_find(http_header(exchange, TEXT("Accept")), TEXT("text/html")) >= 0;
}

bool ui_redirect_root(Request *request) {
    if (!ui_is_wanted_at_root(request)) return false;
    redirect(request, TEXT("/ui/"));
    return true;
}
