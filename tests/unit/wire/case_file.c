#include "case_file.h"

#include <dirent.h>
#include <stdio.h>

#include "base/alloc.h"
#include "check.h"

enum { MAX_CASE_BYTES = 1 << 20 };

char *case_file_read(const char *path, size_t *out_n)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    struct tg_buf b;
    tg_buf_init(&b, 64u << 20);
    char piece[65536];
    size_t n;
    while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
        tg_buf_add(&b, piece, n);
    fclose(f);
    tg_buf_char(&b, '\0');
    assert_true(tg_buf_ok(&b));
    char *p = tg_buf_take(&b, out_n);
    (*out_n)--;
    return p;
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void unescape(struct tg_buf *b, struct tg_str s, bool is_log);

/* \{count:text} at s.p; returns its length. */
static size_t repeat(struct tg_buf *b, struct tg_str s, bool is_log)
{
    ptrdiff_t close = tg_str_chr(s, '}');
    ptrdiff_t colon = tg_str_chr(s, ':');
    assert_true(close > 0 && colon > 0 && colon < close);
    unsigned long count = strtoul(s.p + 2, NULL, 10);
    for (unsigned long i = 0; i < count; i++)
        unescape(b, tg_str_make(s.p + colon + 1, (size_t)(close - colon - 1)), is_log);
    return (size_t)close + 1;
}

static void unescape(struct tg_buf *b, struct tg_str s, bool is_log)
{
    for (size_t i = 0; i < s.n;) {
        char c = s.p[i], next = i + 1 < s.n ? s.p[i + 1] : '\0';
        if (c == '\\' && next == '{') {
            i += repeat(b, tg_str_from(s, i), is_log);
        } else if (is_log || c != '\\') {
            if (is_log || c != '\n')
                tg_buf_char(b, c);
            i++;
        } else if (next == 'x') {
            assert_true(i + 3 < s.n && hex(s.p[i + 2]) >= 0 && hex(s.p[i + 3]) >= 0);
            tg_buf_char(b, (char)(hex(s.p[i + 2]) << 4 | hex(s.p[i + 3])));
            i += 4;
        } else {
            const char *at = strchr("r\rn\nt\t\\\\", next);
            assert_true(next != '\0' && at && (at - strchr("r\rn\nt\t\\\\", 'r')) % 2 == 0);
            tg_buf_char(b, at[1]);
            i += 2;
        }
    }
}

void case_escape(struct tg_buf *b, struct tg_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '\r')
            tg_buf_lit(b, "\\r");
        else if (c == '\n')
            tg_buf_lit(b, "\\n");
        else if (c == '\t')
            tg_buf_lit(b, "\\t");
        else if (c == '\\')
            tg_buf_lit(b, "\\\\");
        else if (c < 0x20 || c > 0x7e)
            tg_buf_printf(b, "\\x%02x", c);
        else
            tg_buf_char(b, (char)c);
    }
}

unsigned long case_option(const char *kind, const char *name, unsigned long absent)
{
    char key[32];
    snprintf(key, sizeof(key), " %s=", name);
    const char *at = strstr(kind, key);
    return at ? strtoul(at + strlen(key), NULL, 10) : absent;
}

/* Text up to the closing fence, which is passed. */
static struct tg_str fenced(struct tg_str *rest)
{
    const char *begin = rest->p;
    struct tg_str line;
    while (tg_str_split(rest, '\n', &line)) {
        if (tg_str_eq(line, TG_STR("```")))
            return tg_str_make(begin, (size_t)(line.p - begin));
    }
    fail_msg("a fence is not closed");
    return *rest;
}

static size_t each_case(char *text, size_t n, case_fn *fn, void *ctx)
{
    struct tg_str rest = tg_str_make(text, n), line;
    struct case_one c = {0};
    size_t count = 0;
    tg_buf_init(&c.input, MAX_CASE_BYTES);
    tg_buf_init(&c.log, MAX_CASE_BYTES);
    while (tg_str_split(&rest, '\n', &line)) {
        if (tg_str_starts(line, TG_STR("## "))) {
            tg_str_to_c(tg_str_from(line, 3), c.title, sizeof(c.title));
        } else if (tg_str_eq(line, TG_STR("```log"))) {
            assert_true(c.kind[0] != '\0');
            tg_buf_clear(&c.log);
            unescape(&c.log, fenced(&rest), true);
            fn(ctx, &c);
            c.kind[0] = '\0';
            count++;
        } else if (tg_str_starts(line, TG_STR("```"))) {
            tg_str_to_c(tg_str_from(line, 3), c.kind, sizeof(c.kind));
            tg_buf_clear(&c.input);
            unescape(&c.input, fenced(&rest), false);
        }
    }
    assert_true(tg_buf_ok(&c.input) && tg_buf_ok(&c.log));
    tg_buf_fini(&c.input);
    tg_buf_fini(&c.log);
    return count;
}

size_t case_files_each(const char *folder, case_fn *fn, void *ctx)
{
    const char *root = getenv("TG_SOURCE_ROOT");
    char path[4096];
    assert_non_null(root);
    snprintf(path, sizeof(path), "%s/tests/cases/%s", root, folder);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    size_t count = 0;
    struct dirent *e;
    while ((e = readdir(dir))) {
        if (!tg_str_ends(tg_str_c(e->d_name), TG_STR(".md")))
            continue;
        char file[8192];
        size_t n;
        snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
        char *text = case_file_read(file, &n);
        assert_non_null(text);
        count += each_case(text, n, fn, ctx);
        tg_free(text);
    }
    closedir(dir);
    return count;
}
