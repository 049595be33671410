#include "server/store_boot.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

#define TELL_EVERY_MS 10000

static int open_at(struct tg_str path, struct tg_store **out, struct tg_fail *fail)
{
    struct tg_store *s;
    int rc = tg_store_open(path, &s, fail);
    if (rc < 0)
        return rc;
    rc = tg_store_start(s);
    if (rc < 0) {
        tg_store_free(s);
        return tg_fail_set(fail, rc, "cannot start a thread");
    }
    *out = s;
    return 0;
}

int tg_store_boot(const struct tg_snapshot *s, struct tg_store **out, struct tg_fail *fail)
{
    const struct tg_store_settings *v = &s->settings.store;
    struct tg_fail why;
    tg_fail_clear(&why);
    int rc = open_at(v->path, out, &why);
    if (rc == 0 && v->path_is_default && tg_str_eq(v->path, TG_STR("memory")))
        tg_log_msg(TG_LOG_WARNING, "store_in_memory",
                   "the user has no home folder: what is kept ends with the process; set "
                   "store.path");
    if (rc == 0)
        return 0;
    if (!v->path_is_default)
        return tg_fail_set(fail, TG_E_CONFIG, "store.path %.*s: %s", TG_STR_ARG(v->path),
                           why.message);
    tg_log_msg(TG_LOG_WARNING, "store_in_memory",
               "%.*s can't be used (%s): what is kept ends with the process; set store.path",
               TG_STR_ARG(v->path), why.message);
    return open_at(TG_STR("memory"), out, fail);
}

void tg_store_watch(struct tg_store_watch *w, struct tg_store *s)
{
    struct tg_store_stats now;
    char why[256];
    tg_store_stats(s, &now);
    uint64_t failed = now.failed - w->failed, refused = now.refused - w->refused;
    if (!failed && !refused)
        return;
    uint64_t ms = tg_clock_mono_ms();
    if (w->told_ms && ms - w->told_ms < TELL_EVERY_MS)
        return;
    *w = (struct tg_store_watch){.failed = now.failed, .refused = now.refused, .told_ms = ms};
    tg_log_msg(TG_LOG_ERROR, "store_failed",
               "%" PRIu64 " requests to the database failed, %" PRIu64
               " were refused by a full queue: %s",
               failed, refused, tg_store_last_failure(s, why, sizeof why));
}
