/* A store in a folder of its own, and a worker's end of it on the test's loop. */
#ifndef TG_TEST_STORE_FIXTURE_H
#define TG_TEST_STORE_FIXTURE_H

#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "io/loop.h"
#include "store/store.h"

#define HOUR_US (3600ll * 1000000)

struct bench {
    struct tg_loop *loop;
    struct tg_store *store;
    struct tg_store_client *client;
    struct tg_store_wait wait;
    struct tg_store_result *result;
    char dir[64];
    char path[128];
};

static inline void bench_folder(struct bench *b)
{
    *b = (struct bench){.dir = "/tmp/tg-store-XXXXXX"};
    assert_non_null(mkdtemp(b->dir));
    (void)snprintf(b->path, sizeof b->path, "%s/state/tollgate/t.db", b->dir);
}

static inline void bench_attach(struct bench *b)
{
    assert_int_equal(tg_loop_new(&b->loop), 0);
    assert_int_equal(tg_store_client_new(b->store, b->loop, &b->client), 0);
}

static inline void bench_open(struct bench *b, struct tg_str path)
{
    struct tg_fail f;
    tg_fail_clear(&f);
    int rc = tg_store_open(path, &b->store, &f);
    if (rc < 0)
        print_error("%s\n", f.message);
    assert_int_equal(rc, 0);
    bench_attach(b);
}

static inline void bench_start(struct bench *b)
{
    bench_folder(b);
    bench_open(b, tg_str_c(b->path));
    assert_int_equal(tg_store_start(b->store), 0);
}

static inline void bench_close(struct bench *b)
{
    tg_store_stop(b->store);
    tg_store_client_free(b->client);
    tg_loop_free(b->loop);
    tg_store_free(b->store);
    b->store = NULL;
}

static inline void bench_reopen(struct bench *b)
{
    bench_close(b);
    bench_open(b, tg_str_c(b->path));
    assert_int_equal(tg_store_start(b->store), 0);
}

static inline void bench_remove(struct bench *b)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", b->dir);
    assert_int_equal(system(command), 0);
}

static inline void bench_end(struct bench *b)
{
    bench_close(b);
    bench_remove(b);
}

static inline void bench_on_done(struct tg_store_wait *w, struct tg_store_result *r)
{
    struct bench *b = tg_container_of(w, struct bench, wait);
    b->result = r;
    tg_loop_stop(b->loop);
}

static inline struct tg_store_wait *bench_wait(struct bench *b)
{
    b->result = NULL;
    tg_store_wait_init(&b->wait, bench_on_done);
    return &b->wait;
}

/* The answer's error; the answer stays in b->result until bench_forget(). */
static inline int bench_answer(struct bench *b, int asked)
{
    assert_int_equal(asked, 0);
    tg_loop_run(b->loop);
    assert_non_null(b->result);
    return b->result->err;
}

static inline void bench_forget(struct bench *b)
{
    tg_store_result_free(b->result);
    b->result = NULL;
}

static inline struct tg_store_response bench_record(const char *id, const char *previous)
{
    int64_t now = tg_clock_wall_us();
    struct tg_str response = TG_STR("{\"output\":[]}");
    return (struct tg_store_response){.id = tg_str_c(id),
                                      .owner = TG_STR("team"),
                                      .model = TG_STR("m"),
                                      .target = TG_STR("t"),
                                      .previous_id = tg_str_c(previous),
                                      .status = TG_STR("completed"),
                                      .input_items = TG_STR("[{\"role\":\"user\"}]"),
                                      .response = response,
                                      .output = tg_str_from(response, 10),
                                      .created_us = now,
                                      .expires_us = now + HOUR_US};
}

static inline int bench_put(struct bench *b, const struct tg_store_response *r)
{
    int rc = bench_answer(b, tg_store_put(b->client, r, bench_wait(b)));
    bench_forget(b);
    return rc;
}

static inline int bench_put_id(struct bench *b, const char *id, const char *previous)
{
    struct tg_store_response r = bench_record(id, previous);
    return bench_put(b, &r);
}

static inline int bench_get(struct bench *b, const char *owner, const char *id)
{
    return bench_answer(b, tg_store_get(b->client, tg_str_c(owner), tg_str_c(id), bench_wait(b)));
}

static inline int bench_chain(struct bench *b, const char *id, size_t max_bytes)
{
    return bench_answer(
        b, tg_store_chain(b->client, TG_STR("team"), tg_str_c(id), max_bytes, bench_wait(b)));
}

static inline int bench_delete(struct bench *b, const char *owner, const char *id)
{
    int rc =
        bench_answer(b, tg_store_delete(b->client, tg_str_c(owner), tg_str_c(id), bench_wait(b)));
    bench_forget(b);
    return rc;
}

#endif
