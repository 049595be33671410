/* Bounded reading of small files, and names of files. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/load_priv.h"

struct tg_str tg_conf_path_join(struct tg_arena *a, struct tg_str dir, struct tg_str name)
{
    if (dir.n == 0 || (name.n && name.p[0] == '/'))
        return tg_arena_dup(a, name);
    return tg_arena_printf(a, "%.*s/%.*s", TG_STR_ARG(dir), TG_STR_ARG(name));
}

struct tg_str tg_conf_path_dir(struct tg_str path)
{
    size_t i = path.n;
    while (i > 0 && path.p[i - 1] != '/')
        i--;
    return tg_str_first(path, i > 1 ? i - 1 : i); /* keeps "/" */
}

bool tg_conf_file_readable(struct tg_str path)
{
    struct stat st;
    return path.n && stat(path.p, &st) == 0 && S_ISREG(st.st_mode) && access(path.p, R_OK) == 0;
}

static int read_all(int fd, char *p, size_t cap, size_t *out_n)
{
    size_t n = 0;
    while (n < cap) {
        ssize_t got = read(fd, p + n, cap - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return TG_E_IO;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    *out_n = n;
    return 0;
}

static int read_fd(struct tg_conf_load *l, int fd, size_t max_bytes, struct tg_str *out,
                   const char **out_why)
{
    struct stat st;
    *out_why = "it is not a regular file";
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return TG_E_CONFIG;
    *out_why = "it is too big";
    if (st.st_size < 0 || (uint64_t)st.st_size > max_bytes)
        return TG_E_CONFIG;
    /* One byte more than its size: a file that grows meanwhile is noticed, not cut. */
    size_t cap = (size_t)st.st_size + 1, n;
    char *p = tg_arena_alloc(&l->scratch, cap + 1);
    if (!p)
        return TG_E_NOMEM;
    *out_why = "reading it failed";
    if (read_all(fd, p, cap, &n) != 0)
        return TG_E_CONFIG;
    *out_why = "it changed while it was read";
    if (n == cap)
        return TG_E_CONFIG;
    p[n] = '\0';
    *out = tg_str_make(p, n);
    return 0;
}

int tg_conf_file_read(struct tg_conf_load *l, struct tg_str path, size_t max_bytes,
                      const struct tg_conf_origin *where, struct tg_str key, struct tg_str *out)
{
    if (!path.p)
        return TG_E_NOMEM;
    /* Not blocking: a FIFO in its place must not hang a reload. */
    int fd = open(path.p, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return TG_E_NOT_FOUND_INTERNAL;
    if (fd < 0) {
        tg_conf_error(l, where, key, "cannot read '%s': %s", path.p, strerror(errno));
        return TG_E_CONFIG;
    }
    const char *why;
    int rc = read_fd(l, fd, max_bytes, out, &why);
    close(fd);
    if (rc == TG_E_CONFIG)
        tg_conf_error(l, where, key, "cannot read '%s': %s (at most %zu bytes)", path.p, why,
                      max_bytes);
    return rc;
}
