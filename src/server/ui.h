// The page's files, as they lie in the binary: web/embed.py writes the table when Traceo is built,
// and whoever starts the server hands it down (ServerOptions.ui). Each file is there plain and
// compressed beforehand, so that serving it is sending bytes.
#pragma once

#include "base/text.h"

// ORDER: CODINGS of web/embed.py
typedef enum UiCoding { UI_IDENTITY, UI_GZIP, UI_BROTLI, UI_CODING_COUNT } UiCoding;

typedef struct UiFile {
    Text path;                     // below /ui/: "index.html", "assets/index-DFQeuXO5.css"
    Text type;                     // of the media
    Text tag;                      // changes with the content; without quotes
    Text bodies[UI_CODING_COUNT];  // {NULL, 0}: not there in this coding
} UiFile;

typedef struct UiFiles {
    const UiFile *at;  // sorted by path
    size_t count;
    Text missing;  // why there are none; empty when there are
} UiFiles;

// The page this binary was built with. Defined by the generated table, which only the program
// itself links.
extern const UiFiles ui_embedded;
