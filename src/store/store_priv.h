/* What a database must do for the store, and the migrations that SQL databases share. Private to
 * store/. Thread rule: one thread at a time, at run time the store thread's; every call may block
 * on the disk. */
#ifndef TG_STORE_STORE_PRIV_H
#define TG_STORE_STORE_PRIV_H

#include "store/store.h"

/* All: 0, or TG_E_STORE, TG_E_NOMEM with the reason in *fail. */
struct tg_store_ops {
    const char *name;
    int (*open)(struct tg_str path, void **out_db, struct tg_fail *fail);
    void (*close)(void *db);
    /* One transaction around the writes of a batch. After a failed commit nothing of it stays. */
    int (*begin)(void *db, struct tg_fail *fail);
    int (*commit)(void *db, struct tg_fail *fail);
    int (*put)(void *db, const struct tg_store_response *r, struct tg_fail *fail);
    /* TG_E_NOT_FOUND_INTERNAL: none, or over its time at now_us. TG_E_FULL: the arena's maximum. */
    int (*get)(void *db, struct tg_str owner, struct tg_str id, int64_t now_us, struct tg_arena *a,
               struct tg_store_response *out, struct tg_fail *fail);
    int (*del)(void *db, struct tg_str owner, struct tg_str id, int64_t now_us,
               struct tg_fail *fail); /* TG_E_NOT_FOUND_INTERNAL */
    /* Removes at most max records that are over their time; returns how many. */
    int (*sweep)(void *db, int64_t now_us, int max, struct tg_fail *fail);
};
extern const struct tg_store_ops tg_store_sqlite_ops;

/* Steps from an empty database to the present one, never changed once released; the number of the
 * last one is kept in the database. */
struct tg_store_migration {
    const char *name;
    const char *sql;
};
extern const struct tg_store_migration tg_store_sqlite_migrations[];
extern const int tg_store_sqlite_migration_count;

/* Makes the folder of a file and what is missing above it, for the user alone. */
int tg_store_make_folder(struct tg_str path, struct tg_fail *fail) TG_WARN_UNUSED;

#endif
