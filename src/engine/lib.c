#include "engine/lib_priv.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>

#include "base/str.h"

/* ---- finding ---- */

/* `dir` "" means the system's own search path. */
static void *open_in(const char *const *names, const char *dir)
{
    for (; *names; names++) {
        char path[PATH_MAX];
        int n = snprintf(path, sizeof path, "%s%s%s", dir, dir[0] ? "/" : "", *names);
        if (n < 0 || (size_t)n >= sizeof path)
            continue;
        void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (lib)
            return lib;
    }
    return NULL;
}

void *tg_lib_open(const char *const *names, const char *const *dirs, size_t n_dirs,
                  const char *built, char *out_dir, size_t cap)
{
    const char *dir = built;
    void *lib = NULL;
    for (size_t i = 0; i < n_dirs && !lib; i++) {
        if (!dirs[i] || !dirs[i][0])
            continue;
        lib = open_in(names, dirs[i]);
        if (lib)
            dir = dirs[i];
    }
    if (!lib)
        lib = open_in(names, built);
    if (!lib && built[0]) {
        lib = open_in(names, "");
        dir = "";
    }
    tg_str_to_c(tg_str_c(dir), out_dir, cap);
    return lib;
}

struct mapped {
    const char *mark;
    char *out;
    size_t cap;
};

static int look_at(struct dl_phdr_info *info, size_t size, void *ctx)
{
    (void)size;
    const struct mapped *m = ctx;
    const char *at = info->dlpi_name ? strstr(info->dlpi_name, m->mark) : NULL;
    if (!at)
        return 0;
    at += strlen(m->mark);
    tg_str_to_c(tg_str_make(at, strcspn(at, ".")), m->out, m->cap);
    return 1;
}

void tg_lib_mapped(const char *mark, char *out, size_t cap)
{
    struct mapped m = {mark, out, cap};
    dl_iterate_phdr(look_at, &m);
}

const char *tg_lib_file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (strncmp(path, "/proc/self/fd/", 14) == 0)
        return "the built-in model";
    return slash ? slash + 1 : path;
}

/* ---- its log ---- */

static struct {
    pthread_mutex_t lock;
    void (*sink)(const char *line);
    bool verbose, pass;
    size_t n;
    char line[512];
    char first_error[256];
} the_log = {.lock = PTHREAD_MUTEX_INITIALIZER};

void tg_liblog_init(void (*sink)(const char *line), bool verbose)
{
    the_log.sink = sink;
    the_log.verbose = verbose;
}

static void log_line(void)
{
    the_log.line[the_log.n] = '\0';
    if (the_log.pass && the_log.n && the_log.sink)
        the_log.sink(the_log.line);
    the_log.n = 0;
}

void tg_liblog_text(enum tg_liblog_level level, const char *text)
{
    pthread_mutex_lock(&the_log.lock);
    if (level != TG_LIBLOG_MORE)
        the_log.pass = the_log.verbose || level >= TG_LIBLOG_WARN;
    for (; *text; text++) {
        if (*text == '\n')
            log_line();
        else if (the_log.n < sizeof the_log.line - 1)
            the_log.line[the_log.n++] = *text;
    }
    if (level == TG_LIBLOG_ERROR && the_log.n == 0 && !the_log.first_error[0])
        tg_str_to_c(tg_str_c(the_log.line), the_log.first_error, sizeof the_log.first_error);
    pthread_mutex_unlock(&the_log.lock);
}

void tg_liblog_forget(void)
{
    pthread_mutex_lock(&the_log.lock);
    the_log.first_error[0] = '\0';
    pthread_mutex_unlock(&the_log.lock);
}

void tg_liblog_first_error(char *out, size_t cap)
{
    pthread_mutex_lock(&the_log.lock);
    tg_str_to_c(tg_str_c(the_log.first_error), out, cap);
    pthread_mutex_unlock(&the_log.lock);
}
