// W10: a page that cannot be read is zeros for its reader, not the end of the process.

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/test.h"
#include "os/disk.h"
#include "os/map_fault.h"

TEST(w10_a_page_that_is_gone_reads_as_zeros) {
    char path[] = "/tmp/traceo-map-XXXXXX";
    int fd = mkstemp(path);
    check(t, fd >= 0);
    static char content[3 * 4096];
    memset(content, 'x', sizeof content);
    check(t, write(fd, content, sizeof content) == (ssize_t)sizeof content);
    Disk *disk = disk_real();
    File *file = NULL;
    check_ok(t, disk->open(disk, text_from_cstring(path), FILE_READ, &file, t->err));
    Bytes view;
    check_ok(t, disk->map(disk, file, sizeof content, &view, t->err));
    check(t, ftruncate(fd, 4096) ==
                 0);  // as a bad sector would: the pages behind cannot be read any more
    volatile const uint8_t *at = view.at;
    check(t, at[10] == 'x');
    check(t, at[5000] == 0 && at[9000] == 0);
    check_i64(t, 2, map_fault_count());
    disk->unmap(disk, &view);
    disk->close(disk, &file);
    close(fd);
    unlink(path);
}

TEST_MAIN("os/map_fault", CASE(w10_a_page_that_is_gone_reads_as_zeros))
