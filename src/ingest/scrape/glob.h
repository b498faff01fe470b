// Paths with wild cards in their last piece, as scrape_config_files and file_sd_configs name them.
#pragma once

#include "os/disk.h"

// `*` (any run of bytes), `?` (any one) and `[a-z]`, `[^a]`, `\x` as Go's filepath.Match, over a
// name without folders.
bool glob_matches(Text pattern, Text name);
bool glob_is_plain(Text pattern);  // no wild card in it

// The files that match, sorted; a folder or file that does not exist matches nothing. Only the last
// piece of the path is a pattern. IO when a folder cannot be read.
must_use bool glob_files(Disk *disk, Text pattern, Arena *arena, Texts *out, Error *err);
