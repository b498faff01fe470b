// What happens when a page of a mapping cannot be read (W10). Private to os.
//
// A bad sector, or a file cut short under its mapping, raises SIGBUS in whoever touches the page.
// The handler puts a page of zeros in its place: the reader's checksum then fails, so that it is
// the damage of one block and not the end of the process. Only addresses inside mappings registered
// here are treated so; any other SIGBUS ends the process.
#pragma once

#include "base/language.h"

void map_fault_watch(const void *at, size_t len);
void map_fault_forget(const void *at);
// How many pages were replaced since the start.
uint64_t map_fault_count(void);
