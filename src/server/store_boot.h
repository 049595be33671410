/* Opens the store that a configuration names, and tells the operator how it fares. Thread rule: the
 * controlling thread. */
#ifndef TG_SERVER_STORE_BOOT_H
#define TG_SERVER_STORE_BOOT_H

#include "config/snapshot.h"
#include "store/store.h"

struct tg_store_watch {
    uint64_t failed, refused; /* as last told */
    uint64_t told_ms;         /* monotonic; 0: never */
};

/* A path that the operator named must work (TG_E_CONFIG with the reason). Where nobody named one
 * and the usual place does not work, memory takes its place, with a line in the log. */
int tg_store_boot(const struct tg_snapshot *s, struct tg_store **out,
                  struct tg_fail *fail) TG_WARN_UNUSED;
/* A log line when requests failed since the last one, at most one in ten seconds. */
void tg_store_watch(struct tg_store_watch *w, struct tg_store *s);

#endif
