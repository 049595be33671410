/* A folder of its own with configuration files in it, and a load of them in an environment that the
 * test gives. Include after check.h; link config. */
#ifndef TG_TEST_CONFIG_FIXTURE_H
#define TG_TEST_CONFIG_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "config/config.h"

#define NO_ENV   ((const char *const[]){NULL})
#define ENV(...) ((const char *const[]){__VA_ARGS__, NULL})

struct fixture {
    char dir[32];
    struct tg_config_source src;
    struct tg_config_report report;
    struct tg_snapshot *s; /* NULL unless rc == 0 */
    struct tg_buf text;    /* the report as printed */
    int rc;
};

static inline void fx_write(struct fixture *f, const char *name, const void *data, size_t n)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

static inline void fx_text(struct fixture *f, const char *name, const char *text)
{
    fx_write(f, name, text, strlen(text));
}

static inline void fx_mkdir(struct fixture *f, const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static inline void fx_init(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    snprintf(f->dir, sizeof(f->dir), "/tmp/tg-config-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->src.cwd = f->dir;
    f->src.cores = 4;
    tg_buf_init(&f->text, 1 << 20);
    tg_config_report_init(&f->report);
}

static inline void fx_forget(struct fixture *f) /* makes it ready for another load */
{
    tg_snapshot_unref(f->s);
    f->s = NULL;
    tg_buf_clear(&f->text);
    tg_config_report_fini(&f->report);
}

static inline void fx_fini(struct fixture *f)
{
    char command[64];
    fx_forget(f);
    tg_buf_fini(&f->text);
    snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
    assert_int_equal(system(command), 0);
}

static inline int fx_load(struct fixture *f, const char *const *env)
{
    fx_forget(f);
    f->src.env = env;
    f->rc = tg_config_load(&f->src, &f->s, &f->report);
    assert_int_equal(tg_config_report_write(&f->report, &f->text), 0);
    assert_true((f->rc == 0) == (f->s != NULL));
    return f->rc;
}

/* Loads this text as ./tollgate.yaml. */
static inline int fx_load_text(struct fixture *f, const char *yaml, const char *const *env)
{
    fx_text(f, "tollgate.yaml", yaml);
    return fx_load(f, env);
}

static inline struct tg_str fx_report(const struct fixture *f)
{
    return tg_buf_str(&f->text);
}

static inline void fx_expect_ok(struct fixture *f)
{
    if (f->rc)
        print_error("%.*s\n", TG_STR_ARG(fx_report(f)));
    assert_int_equal(f->rc, 0);
    assert_int_equal(f->report.n_errors, 0);
}

static inline void fx_expect_error(struct fixture *f, const char *part)
{
    assert_int_equal(f->rc, TG_E_CONFIG);
    assert_true(f->report.n_errors > 0);
    if (tg_str_find(fx_report(f), tg_str_c(part)) < 0) {
        print_error("%.*s\n  lacks: %s\n", TG_STR_ARG(fx_report(f)), part);
        fail();
    }
}

#endif
