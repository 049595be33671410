/* SQLite behind the store: one connection, write-ahead log, prepared statements, bound values.
 *
 * journal_mode=WAL with synchronous=NORMAL: a commit is in the file's log before it is answered, so
 * that the death of the process loses nothing; the log is flushed to the disk at checkpoints, so
 * that a power cut may take the last commits but leaves the file whole
 * (https://www.sqlite.org/pragma.html#pragma_synchronous). Several processes take turns at writing:
 * each waits BUSY_MS for its turn. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "store/store_priv.h"

#define BUSY_MS          2000
#define RETRY_MS         10
#define APPLICATION_ID   0x54474154 /* "TGAT" */
#define MAX_MEMORY_PAGES 65536      /* of 4 KiB: what "memory" may take */
#define SQL_BYTES        96
#define RESPONSE_COLUMNS                                                              \
    "owner, id, model, target, previous_id, status, created_us, expires_us, pinned, " \
    "input_items, response, output_at, output_bytes"

enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    PUT,
    GET,
    DELETE,
    SWEEP,
    EVICT,
    PAGES,
    FREE_PAGES,
    VACUUM,
    STATEMENTS
};
static const char *const sql[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [PUT] = ("INSERT INTO responses (" RESPONSE_COLUMNS ") "
             "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) "
             "ON CONFLICT (owner, id) DO UPDATE SET model = excluded.model, "
             "target = excluded.target, previous_id = excluded.previous_id, "
             "status = excluded.status, created_us = excluded.created_us, "
             "expires_us = excluded.expires_us, pinned = excluded.pinned, "
             "input_items = excluded.input_items, response = excluded.response, "
             "output_at = excluded.output_at, output_bytes = excluded.output_bytes"),
    [GET] = "SELECT " RESPONSE_COLUMNS " FROM responses "
            "WHERE owner = ?1 AND id = ?2 AND expires_us > ?3",
    [DELETE] = "DELETE FROM responses WHERE owner = ?1 AND id = ?2 AND expires_us > ?3",
    [SWEEP] = "DELETE FROM responses WHERE key IN "
              "(SELECT key FROM responses WHERE expires_us <= ?1 ORDER BY expires_us LIMIT ?2)",
    [EVICT] =
        "DELETE FROM responses WHERE key IN "
        "(SELECT key FROM responses ORDER BY key LIMIT 1 + (SELECT count(*) / 8 FROM responses))",
    [PAGES] = "PRAGMA page_count",
    [FREE_PAGES] = "PRAGMA freelist_count",
    [VACUUM] = "PRAGMA incremental_vacuum(256)", /* pages, given back to the file system */
};

struct db {
    sqlite3 *handle;
    sqlite3_stmt *st[STATEMENTS];
    bool memory; /* of bounded size: the oldest make room */
};

/* ---- errors ---- */

/* The database's own words, and the system's where a call of its failed. */
static int failed(sqlite3 *h, const char *what, struct tg_fail *fail)
{
    int code = h ? sqlite3_errcode(h) & 0xff : SQLITE_NOMEM;
    int os = h && (code == SQLITE_IOERR || code == SQLITE_CANTOPEN) ? sqlite3_system_errno(h) : 0;
    if (code == SQLITE_NOMEM)
        return tg_fail_set(fail, TG_E_NOMEM, "out of memory");
    if (code == SQLITE_TOOBIG)
        return tg_fail_set(fail, TG_E_FULL, "the record is too large");
    return tg_fail_set(fail, TG_E_STORE, "the database: %s: %s%s%s", what, sqlite3_errmsg(h),
                       os ? ": " : "", os ? strerror(os) : "");
}

/* ---- statements ---- */

static int run(struct db *d, enum statement s, const char *what, struct tg_fail *fail)
{
    int rc = sqlite3_step(d->st[s]);
    while (rc == SQLITE_ROW)
        rc = sqlite3_step(d->st[s]);
    int result = rc == SQLITE_DONE ? 0 : failed(d->handle, what, fail);
    (void)sqlite3_reset(d->st[s]); /* repeats the error of the step */
    return result;
}

static int bind_str(sqlite3_stmt *st, int i, struct tg_str s)
{
    return sqlite3_bind_text64(st, i, s.n ? s.p : "", s.n, SQLITE_STATIC, SQLITE_UTF8);
}

static int bind_all(sqlite3_stmt *st, const struct tg_store_response *r)
{
    const struct tg_str front[] = {r->owner, r->id, r->model, r->target, r->previous_id, r->status};
    const int64_t middle[] = {r->created_us, r->expires_us, r->pinned};
    const struct tg_str back[] = {r->input_items, r->response};
    const int64_t span[] = {r->output.n ? r->output.p - r->response.p : 0, (int64_t)r->output.n};
    int i = 0, rc = 0;
    for (size_t n = 0; n < TG_ARRAY_LEN(front); n++)
        rc |= bind_str(st, ++i, front[n]);
    for (size_t n = 0; n < TG_ARRAY_LEN(middle); n++)
        rc |= sqlite3_bind_int64(st, ++i, middle[n]);
    for (size_t n = 0; n < TG_ARRAY_LEN(back); n++)
        rc |= bind_str(st, ++i, back[n]);
    for (size_t n = 0; n < TG_ARRAY_LEN(span); n++)
        rc |= sqlite3_bind_int64(st, ++i, span[n]);
    return rc;
}

static int64_t number(struct db *d, enum statement s)
{
    int64_t n = sqlite3_step(d->st[s]) == SQLITE_ROW ? sqlite3_column_int64(d->st[s], 0) : 0;
    (void)sqlite3_reset(d->st[s]); /* it only read */
    return n;
}

/* In memory the oldest records make room for a new one, an eighth of them at a time: a write that
 * finds the database full would undo those before it. */
static int make_room(struct db *d, const struct tg_store_response *r, struct tg_fail *fail)
{
    size_t bytes = r->input_items.n + r->response.n;
    int64_t wanted = (int64_t)(bytes / 4000) + 64, last = -1; /* a page holds a little less */
    for (;;) {
        int64_t used = number(d, PAGES) - number(d, FREE_PAGES);
        if (used + wanted <= MAX_MEMORY_PAGES || used == last)
            return 0; /* or nothing is left to remove: the write says so */
        int rc = run(d, EVICT, "making room", fail);
        if (rc < 0)
            return rc;
        last = used;
    }
}

static int put(void *db, const struct tg_store_response *r, struct tg_fail *fail)
{
    struct db *d = db;
    int rc = d->memory ? make_room(d, r, fail) : 0;
    if (rc < 0)
        return rc;
    rc = bind_all(d->st[PUT], r) != SQLITE_OK ? failed(d->handle, "writing", fail)
                                              : run(d, PUT, "writing", fail);
    (void)sqlite3_clear_bindings(d->st[PUT]); /* they pointed into the request; always 0 */
    return rc;
}

static int bind_key(sqlite3_stmt *st, struct tg_str owner, struct tg_str id, int64_t now_us)
{
    return bind_str(st, 1, owner) | bind_str(st, 2, id) | sqlite3_bind_int64(st, 3, now_us);
}

/* A column's bytes, copied: the row's memory ends with the statement. */
static bool column(struct tg_arena *a, sqlite3_stmt *st, int i, struct tg_str *out)
{
    const char *p = (const char *)sqlite3_column_text(st, i);
    *out = tg_arena_dup(a, tg_str_make(p, p ? (size_t)sqlite3_column_bytes(st, i) : 0));
    return out->p != NULL;
}

/* A part of the response; "" where the numbers make no sense. */
static struct tg_str output_of(sqlite3_stmt *st, struct tg_str response)
{
    int64_t at = sqlite3_column_int64(st, 11), n = sqlite3_column_int64(st, 12);
    if (at < 0 || n < 0 || (uint64_t)at > response.n || (uint64_t)n > response.n - (size_t)at)
        return TG_STR("");
    return tg_str_make(response.p + at, (size_t)n);
}

static int read_row(sqlite3_stmt *st, struct tg_arena *a, struct tg_store_response *out)
{
    struct tg_store_response r = {0};
    bool ok = column(a, st, 0, &r.owner) && column(a, st, 1, &r.id) && column(a, st, 2, &r.model) &&
              column(a, st, 3, &r.target) && column(a, st, 4, &r.previous_id) &&
              column(a, st, 5, &r.status) && column(a, st, 9, &r.input_items) &&
              column(a, st, 10, &r.response);
    r.created_us = sqlite3_column_int64(st, 6);
    r.expires_us = sqlite3_column_int64(st, 7);
    r.pinned = sqlite3_column_int(st, 8) != 0;
    if (!ok)
        return TG_E_FULL;
    r.output = output_of(st, r.response);
    *out = r;
    return 0;
}

static int get(void *db, struct tg_str owner, struct tg_str id, int64_t now_us, struct tg_arena *a,
               struct tg_store_response *out, struct tg_fail *fail)
{
    struct db *d = db;
    sqlite3_stmt *st = d->st[GET];
    int rc = TG_E_NOT_FOUND_INTERNAL;
    int step = bind_key(st, owner, id, now_us) == SQLITE_OK ? sqlite3_step(st) : SQLITE_ERROR;
    if (step == SQLITE_ROW)
        rc = read_row(st, a, out);
    else if (step != SQLITE_DONE)
        rc = failed(d->handle, "reading", fail);
    (void)sqlite3_reset(st); /* repeats the error of the step */
    (void)sqlite3_clear_bindings(st);
    return rc;
}

static int del(void *db, struct tg_str owner, struct tg_str id, int64_t now_us,
               struct tg_fail *fail)
{
    struct db *d = db;
    sqlite3_stmt *st = d->st[DELETE];
    int rc = bind_key(st, owner, id, now_us) != SQLITE_OK ? failed(d->handle, "deleting", fail)
                                                          : run(d, DELETE, "deleting", fail);
    (void)sqlite3_clear_bindings(st); /* always 0 */
    if (rc == 0 && sqlite3_changes(d->handle) == 0)
        return TG_E_NOT_FOUND_INTERNAL;
    return rc;
}

static int sweep(void *db, int64_t now_us, int max, struct tg_fail *fail)
{
    struct db *d = db;
    if (sqlite3_bind_int64(d->st[SWEEP], 1, now_us) | sqlite3_bind_int(d->st[SWEEP], 2, max))
        return failed(d->handle, "sweeping", fail);
    int rc = run(d, SWEEP, "sweeping", fail);
    int n = sqlite3_changes(d->handle);
    if (rc == 0 && n > 0)
        rc = run(d, VACUUM, "sweeping", fail);
    return rc < 0 ? rc : n;
}

static int begin(void *db, struct tg_fail *fail)
{
    return run(db, BEGIN, "beginning to write", fail);
}

static int commit(void *db, struct tg_fail *fail)
{
    struct db *d = db;
    struct tg_fail second;
    int rc = run(d, COMMIT, "committing", fail);
    if (rc == 0)
        return 0;
    tg_fail_clear(&second);
    if (!sqlite3_get_autocommit(d->handle))
        (void)run(d, ROLLBACK, "rolling back", &second); /* the first failure is the one to tell */
    return rc;
}

/* ---- opening ---- */

static int execute(struct db *d, const char *text, const char *what, struct tg_fail *fail)
{
    return sqlite3_exec(d->handle, text, NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : failed(d->handle, what, fail);
}

static int pragma_int(struct db *d, const char *text, int *out, struct tg_fail *fail)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(d->handle, text, -1, &st, NULL);
    if (rc == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
        *out = sqlite3_column_int(st, 0);
    else
        rc = SQLITE_ERROR;
    int result = rc == SQLITE_OK ? 0 : failed(d->handle, "opening", fail);
    (void)sqlite3_finalize(st);
    return result;
}

/* A database of ours, or an empty one, no newer than this program. */
static int check_origin(struct db *d, int version, struct tg_fail *fail)
{
    int id = 0, tables = 0;
    int rc = pragma_int(d, "PRAGMA application_id", &id, fail);
    if (rc == 0)
        rc = pragma_int(d, "SELECT count(*) FROM sqlite_schema", &tables, fail);
    if (rc < 0)
        return rc;
    if (id != APPLICATION_ID && (id || version || tables))
        return tg_fail_set(fail, TG_E_STORE, "the database belongs to another program");
    if (version > tg_store_sqlite_migration_count)
        return tg_fail_set(fail, TG_E_STORE,
                           "the database was made by a newer Tollgate (schema %d, this one knows "
                           "%d)",
                           version, tg_store_sqlite_migration_count);
    return 0;
}

/* In one transaction: of two processes that start at once, the second finds the work done. */
static int migrate_locked(struct db *d, struct tg_fail *fail)
{
    char text[SQL_BYTES];
    int version = 0;
    int rc = pragma_int(d, "PRAGMA user_version", &version, fail);
    if (rc == 0)
        rc = check_origin(d, version, fail);
    for (int i = version; rc == 0 && i < tg_store_sqlite_migration_count; i++)
        rc =
            execute(d, tg_store_sqlite_migrations[i].sql, tg_store_sqlite_migrations[i].name, fail);
    if (rc < 0 || version == tg_store_sqlite_migration_count)
        return rc;
    (void)snprintf(text, sizeof text, "PRAGMA application_id = %d; PRAGMA user_version = %d",
                   APPLICATION_ID, tg_store_sqlite_migration_count); /* fits */
    return execute(d, text, "noting the schema", fail);
}

static int migrate(struct db *d, struct tg_fail *fail)
{
    int rc = execute(d, "BEGIN IMMEDIATE", "opening", fail);
    if (rc < 0)
        return rc;
    rc = migrate_locked(d, fail);
    if (rc == 0)
        rc = execute(d, "COMMIT", "opening", fail);
    if (rc < 0)
        (void)sqlite3_exec(d->handle, "ROLLBACK", NULL, NULL, NULL); /* rc says what went wrong */
    return rc;
}

static int prepare(struct db *d, struct tg_fail *fail)
{
    for (int i = 0; i < STATEMENTS; i++) {
        if (sqlite3_prepare_v3(d->handle, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &d->st[i], NULL) !=
            SQLITE_OK)
            return failed(d->handle, "preparing", fail);
    }
    return 0;
}

/* Exists, and only its owner may read it; SQLite gives the files beside it the same rights. */
static int make_file(const char *path, struct tg_fail *fail)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return tg_fail_set(fail, TG_E_STORE, "cannot open the database %s: %s", path,
                           strerror(errno));
    (void)close(fd); /* nothing was written */
    return 0;
}

static int open_handle(struct db *d, struct tg_str path, struct tg_fail *fail)
{
    bool memory = d->memory = tg_str_eq(path, TG_STR("memory"));
    char *name = tg_str_dup_c(memory ? TG_STR(":memory:") : path);
    if (!name)
        return tg_fail_set(fail, TG_E_NOMEM, "out of memory");
    int rc = memory ? 0 : tg_store_make_folder(path, fail);
    if (rc == 0 && !memory)
        rc = make_file(name, fail);
    if (rc == 0 && sqlite3_open_v2(name, &d->handle,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                                       SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                                   NULL) != SQLITE_OK)
        rc = failed(d->handle, "opening", fail);
    tg_free(name);
    return rc;
}

/* Of two processes that make the same new file at once, SQLite tells the second one that it is busy
 * without letting it wait, as it does where waiting might never end. So this waits itself. */
static int enter_wal(struct db *d, struct tg_fail *fail)
{
    static const char text[] = "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL";
    int rc = SQLITE_BUSY;
    for (int waited = 0; (rc & 0xff) == SQLITE_BUSY && waited < BUSY_MS; waited += RETRY_MS) {
        if (waited)
            (void)sqlite3_sleep(RETRY_MS);
        rc = sqlite3_exec(d->handle, text, NULL, NULL, NULL);
    }
    return rc == SQLITE_OK ? 0 : failed(d->handle, "opening", fail);
}

static int set_up(struct db *d, struct tg_fail *fail)
{
    char text[SQL_BYTES];
    (void)sqlite3_busy_timeout(d->handle, BUSY_MS);                         /* always 0 */
    (void)sqlite3_db_config(d->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL); /* always 0 */
    int rc = enter_wal(d, fail);
    if (rc == 0)
        rc = execute(d,
                     "PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 67108864;"
                     "PRAGMA secure_delete = FAST; PRAGMA trusted_schema = OFF",
                     "opening", fail);
    if (rc == 0 && d->memory) {
        (void)snprintf(text, sizeof text, "PRAGMA max_page_count = %d", MAX_MEMORY_PAGES);
        rc = execute(d, text, "opening", fail); /* the text fits */
    }
    if (rc == 0)
        rc = migrate(d, fail);
    return rc < 0 ? rc : prepare(d, fail);
}

static void close_db(void *db)
{
    struct db *d = db;
    for (int i = 0; i < STATEMENTS; i++)
        (void)sqlite3_finalize(d->st[i]); /* repeats the last error of the statement */
    (void)sqlite3_close(d->handle);       /* every statement is gone: it can't be busy */
    tg_free(d);
}

static int open_db(struct tg_str path, void **out_db, struct tg_fail *fail)
{
    struct db *d = tg_calloc(1, sizeof *d);
    if (!d)
        return tg_fail_set(fail, TG_E_NOMEM, "out of memory");
    int rc = path.n ? open_handle(d, path, fail)
                    : tg_fail_set(fail, TG_E_STORE, "the database's path is empty");
    if (rc == 0)
        rc = set_up(d, fail);
    if (rc < 0) {
        close_db(d);
        return rc;
    }
    *out_db = d;
    return 0;
}

const struct tg_store_ops tg_store_sqlite_ops = {
    .name = "sqlite",
    .open = open_db,
    .close = close_db,
    .begin = begin,
    .commit = commit,
    .put = put,
    .get = get,
    .del = del,
    .sweep = sweep,
};
