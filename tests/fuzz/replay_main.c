/* Runs a fuzz target over its kept corpus: every file whole, and cut off at every length up to a
 * limit, so that what a fuzzer once found stays found in builds without one. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/alloc.h"

enum { MAX_FILE_BYTES = 1 << 20, MAX_PREFIX_BYTES = 2048 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int feed(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *whole = file ? tg_malloc(size) : NULL;
    size_t n = whole ? fread(whole, 1, size, file) : 0;
    int failed = !whole || n != size;

    for (size_t cut = 0; !failed && cut <= n; cut = cut < MAX_PREFIX_BYTES ? cut + 1 : n + 1) {
        /* A block of its own size, so that the address sanitizer sees one byte too far. */
        size_t len = cut < MAX_PREFIX_BYTES ? cut : n;
        uint8_t *part = tg_malloc(len);

        if (!part) {
            failed = 1;
            break;
        }
        memcpy(part, whole, len);
        (void)LLVMFuzzerTestOneInput(part, len);
        tg_free(part);
    }
    tg_free(whole);
    if (file)
        fclose(file);
    return failed;
}

int main(int argc, char **argv)
{
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    struct dirent *entry;
    int files = 0, failures = 0;

    if (!dir) {
        fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
        return 2;
    }
    while ((entry = readdir(dir))) {
        char path[4096];
        struct stat st;

        snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
        if (stat(path, &st) || !S_ISREG(st.st_mode) || st.st_size > MAX_FILE_BYTES)
            continue;
        files++;
        if (feed(path, (size_t)st.st_size)) {
            fprintf(stderr, "%s: cannot be read\n", path);
            failures++;
        }
    }
    closedir(dir);
    printf("%d files replayed\n", files);
    return files == 0 || failures ? 1 : 0;
}
