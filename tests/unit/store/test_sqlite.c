/* What can be wrong with the file: rights, other programs, other versions, damage, locks, no
 * room. */
#include "store_fixture.h"

#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>

#include "base/alloc.h"

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 0777;
}

static void files_are_the_users_alone(void **state)
{
    struct bench b;
    char name[160];
    mode_t old = umask(0);
    bench_start(&b);
    assert_int_equal(bench_put_id(&b, "a", ""), 0);
    assert_int_equal(mode_of(b.path), 0600);
    (void)snprintf(name, sizeof name, "%s-wal", b.path);
    assert_int_equal(mode_of(name), 0600);
    (void)snprintf(name, sizeof name, "%s/state/tollgate", b.dir);
    assert_int_equal(mode_of(name), 0700);
    (void)snprintf(name, sizeof name, "%s/state", b.dir);
    assert_int_equal(mode_of(name), 0700);
    (void)umask(old);
    bench_end(&b);
}

/* Another program's hand on the same file. */
static sqlite3 *other_hand(const char *path)
{
    sqlite3 *h;
    assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
    return h;
}

static void tell(sqlite3 *h, const char *sql)
{
    assert_int_equal(sqlite3_exec(h, sql, NULL, NULL, NULL), SQLITE_OK);
}

static void refused(const char *path, const char *why)
{
    struct tg_store *s = NULL;
    struct tg_fail f;
    tg_fail_clear(&f);
    assert_int_equal(tg_store_open(tg_str_c(path), &s, &f), TG_E_STORE);
    assert_null(s);
    if (!strstr(f.message, why))
        print_error("\"%s\" lacks \"%s\"\n", f.message, why);
    assert_non_null(strstr(f.message, why));
}

static void foreign_and_newer_files_are_refused(void **state)
{
    struct bench b;
    bench_start(&b);
    bench_close(&b);
    sqlite3 *h = other_hand(b.path);
    tell(h, "PRAGMA user_version = 99");
    assert_int_equal(sqlite3_close(h), SQLITE_OK);
    refused(b.path, "newer Tollgate (schema 99");

    char name[160];
    (void)snprintf(name, sizeof name, "%s/other.db", b.dir);
    h = other_hand(name);
    tell(h, "CREATE TABLE theirs (x)");
    assert_int_equal(sqlite3_close(h), SQLITE_OK);
    refused(name, "another program");
    h = other_hand(name); /* and left as they were */
    tell(h, "SELECT x FROM theirs");
    assert_int_equal(sqlite3_close(h), SQLITE_OK);
    bench_remove(&b);
}

static void what_is_no_database_is_refused(void **state)
{
    struct bench b;
    char name[160];
    bench_folder(&b);
    refused("", "path is empty");
    refused(b.dir, "directory");
    refused("/proc/nothing/here/t.db", "cannot make the folder");
    (void)snprintf(name, sizeof name, "%s/text.db", b.dir);
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    for (int i = 0; i < 1000; i++)
        assert_true(fputs("this is not a database\n", f) >= 0);
    assert_int_equal(fclose(f), 0);
    refused(name, "not a database");
    char link[160];
    (void)snprintf(link, sizeof link, "%s/link.db", b.dir);
    assert_int_equal(symlink(name, link), 0);
    refused(link, "cannot open the database");
    bench_remove(&b);
}

static void an_old_schema_is_brought_up(void **state)
{
    struct bench b;
    bench_folder(&b);
    (void)snprintf(b.path, sizeof b.path, "%s/t.db", b.dir);
    FILE *f = fopen(b.path, "w"); /* made, not filled: schema 0 */
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    bench_open(&b, tg_str_c(b.path));
    assert_int_equal(tg_store_start(b.store), 0);
    assert_int_equal(bench_put_id(&b, "a", ""), 0);
    bench_reopen(&b); /* nothing to do the second time */
    assert_int_equal(bench_get(&b, "team", "a"), 0);
    bench_forget(&b);
    bench_end(&b);
}

static void a_locked_file_is_an_error_in_time(void **state)
{
    struct bench b;
    struct tg_store_stats stats;
    char why[256];
    bench_start(&b);
    assert_int_equal(bench_put_id(&b, "a", ""), 0);
    sqlite3 *h = other_hand(b.path);
    tell(h, "BEGIN IMMEDIATE");
    uint64_t began = tg_clock_mono_ms();
    struct tg_store_response r = bench_record("b", "a");
    assert_int_equal(bench_answer(&b, tg_store_put(b.client, &r, bench_wait(&b))), TG_E_STORE);
    assert_contains(tg_str_c(b.result->fail.message), "locked");
    bench_forget(&b);
    assert_true(tg_clock_mono_ms() - began < 10000);
    assert_int_equal(bench_get(&b, "team", "a"), 0); /* reading goes on */
    bench_forget(&b);
    tell(h, "COMMIT");
    assert_int_equal(sqlite3_close(h), SQLITE_OK);
    assert_int_equal(bench_put(&b, &r), 0);
    tg_store_stats(b.store, &stats);
    assert_in_range(stats.failed, 1, 2); /* a sweep may have met the lock too */
    assert_contains(tg_str_c(tg_store_last_failure(b.store, why, sizeof why)), "locked");
    bench_end(&b);
}

static void a_short_lock_is_waited_for(void **state)
{
    struct bench b;
    bench_start(&b);
    sqlite3 *h = other_hand(b.path);
    tell(h, "BEGIN IMMEDIATE");
    struct tg_store_response r = bench_record("b", "");
    assert_int_equal(tg_store_put(b.client, &r, bench_wait(&b)), 0);
    usleep(200000);
    tell(h, "COMMIT");
    assert_int_equal(bench_answer(&b, 0), 0);
    bench_forget(&b);
    assert_int_equal(sqlite3_close(h), SQLITE_OK);
    bench_end(&b);
}

static void damage_is_an_error_not_an_end(void **state)
{
    struct bench b;
    char *big = tg_calloc(1, 200000);
    assert_non_null(big);
    memset(big, 'x', 199999);
    bench_start(&b);
    struct tg_store_response r = bench_record("a", "");
    r.response = tg_str_make(big, 199999);
    r.output = TG_STR("");
    assert_int_equal(bench_put(&b, &r), 0);
    bench_close(&b); /* the log is in the file now */
    struct stat st;
    assert_int_equal(stat(b.path, &st), 0);
    assert_true(st.st_size > 200000);
    FILE *f = fopen(b.path, "r+");
    assert_non_null(f);
    assert_int_equal(fseek(f, 4096, SEEK_SET), 0); /* all but the schema's page */
    for (off_t i = 4096; i < st.st_size; i++)
        assert_true(fputc(0xa5, f) >= 0);
    assert_int_equal(fclose(f), 0);

    bench_open(&b, tg_str_c(b.path));
    assert_int_equal(tg_store_start(b.store), 0);
    assert_int_equal(bench_get(&b, "team", "a"), TG_E_STORE);
    assert_contains(tg_str_c(b.result->fail.message), "malformed");
    bench_forget(&b);
    assert_int_equal(bench_put_id(&b, "b", ""), TG_E_STORE);
    assert_int_equal(bench_chain(&b, "a", 1 << 20), TG_E_STORE);
    bench_forget(&b);
    bench_end(&b);
    tg_free(big);
}

/* A disk without room: the process may write no more than so many bytes to a file. */
static void no_room_is_an_error_and_passes(void **state)
{
    struct bench b;
    struct rlimit old, small;
    char *big = tg_calloc(1, 1 << 20);
    assert_non_null(big);
    memset(big, 'y', (1 << 20) - 1);
    bench_start(&b);
    assert_int_equal(bench_put_id(&b, "a", ""), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 300000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    struct tg_store_response r = bench_record("big", "");
    r.response = tg_str_make(big, (1 << 20) - 1);
    r.output = TG_STR("");
    int rc = bench_put(&b, &r);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    (void)signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(rc, TG_E_STORE);
    assert_int_equal(bench_get(&b, "team", "big"), TG_E_NOT_FOUND_INTERNAL);
    bench_forget(&b);
    assert_int_equal(bench_get(&b, "team", "a"), 0);
    bench_forget(&b);
    assert_int_equal(bench_put(&b, &r), 0); /* room again */
    assert_int_equal(bench_get(&b, "team", "big"), 0);
    bench_forget(&b);
    bench_end(&b);
    tg_free(big);
}

static void two_stores_share_a_file(void **state)
{
    struct bench a, b;
    bench_start(&a);
    b = (struct bench){0};
    bench_open(&b, tg_str_c(a.path));
    assert_int_equal(tg_store_start(b.store), 0);
    for (int i = 0; i < 50; i++) {
        char id[16], other[16];
        (void)snprintf(id, sizeof id, "a%d", i);
        (void)snprintf(other, sizeof other, "b%d", i);
        assert_int_equal(bench_put_id(&a, id, i ? "b0" : ""), 0);
        assert_int_equal(bench_put_id(&b, other, id), 0);
    }
    assert_int_equal(bench_chain(&a, "b49", 1 << 20), 0);
    assert_int_equal(b.result == NULL, 1);
    assert_int_equal(a.result->n, 4); /* a0 b0 a49 b49 */
    assert_str(a.result->v[1].id, "b0");
    bench_forget(&a);
    bench_close(&b);
    bench_end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_the_users_alone),
        cmocka_unit_test(foreign_and_newer_files_are_refused),
        cmocka_unit_test(what_is_no_database_is_refused),
        cmocka_unit_test(an_old_schema_is_brought_up),
        cmocka_unit_test(a_locked_file_is_an_error_in_time),
        cmocka_unit_test(a_short_lock_is_waited_for),
        cmocka_unit_test(damage_is_an_error_not_an_end),
        cmocka_unit_test(no_room_is_an_error_and_passes),
        cmocka_unit_test(two_stores_share_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
