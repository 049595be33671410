/* Reads case files: Markdown whose "## title" sections hold a fenced block of input and, behind it,
 * one of the expected log ("```log"). The word behind the fence and what follows it are given to
 * the test as `kind`.
 *
 * Input: physical line ends mean nothing; \r \n \t \\ \xHH and \{count:text} (text repeated,
 * escapes inside allowed) are read, all else is itself. Log: as it stands, but for \{count:text}.
 */
#ifndef TG_TEST_CASE_FILE_H
#define TG_TEST_CASE_FILE_H

#include "base/buf.h"
#include "base/str.h"

struct case_one {
    char title[128];
    char kind[128];
    struct tg_buf input, log;
};

typedef void case_fn(void *ctx, const struct case_one *c);
/* Calls fn for each case of each *.md in $TG_SOURCE_ROOT/tests/cases/<folder>; returns how many. */
size_t case_files_each(const char *folder, case_fn *fn, void *ctx);
/* The number behind "name=" in kind, or `absent`. */
unsigned long case_option(const char *kind, const char *name, unsigned long absent);
/* Adds s with every byte outside of visible ASCII and space, and the backslash, escaped. */
void case_escape(struct tg_buf *b, struct tg_str s);
/* All of a file, tg_free() it; NULL if it can't be read. */
char *case_file_read(const char *path, size_t *out_n);

#endif
