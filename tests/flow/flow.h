/* A whole worker in one process: router, runtime, upstream client and a scripted provider on one
 * loop that the test turns by hand. Clients are memory pipes; only the way to the provider is a
 * socket. With the fake clock, time stands still unless a test moves it.
 * Single thread. Everything belongs to the fixture. */
#ifndef TG_TEST_FLOW_H
#define TG_TEST_FLOW_H

#include "base/buf.h"
#include "check.h"
#include "config/config.h"
#include "server/mock_server.h"
#include "server/worker.h"

struct flow {
    struct tg_gateway_shared shared;
    struct tg_worker w; /* no thread, no listener, no engine */
    struct tg_metrics *metrics[1];
    struct tg_mock_server *mock;
    const struct tg_snapshot *snapshot;
    char yaml[4096];
};

/* One client over a memory pipe. */
struct flow_client {
    struct flow *f;
    struct tg_task task;
    struct tg_stream *stream;
    struct tg_buf got; /* everything received */
    bool ended, reset;
    bool stopped; /* reads nothing while set */
};

/* Models: "up" and "mock:*" at the scripted provider over HTTP, "in" and "in:*" the mock backend,
 * "gone" at a port where nobody listens and "hello" that dies after a role, both with "in" behind
 * them; plus `extra` YAML. */
struct flow *flow_new(const char *extra);
void flow_free(struct flow *f);

/* Turns the loop until done(ctx) or two seconds of real time have passed; returns whether done. */
bool flow_until(struct flow *f, bool (*done)(void *ctx), void *ctx);
/* Turns until nothing has moved for a while. */
void flow_settle(struct flow *f);

/* NULL when the pipe could not be made (allocation failure tests). */
struct flow_client *flow_connect(struct flow *f);
void flow_send(struct flow_client *c, const char *bytes, size_t n);
/* POST with a JSON body to path, kept alive. */
void flow_post(struct flow_client *c, const char *path, const char *body);
/* Until the whole answer to one request is there (or the connection ended). */
bool flow_answer(struct flow_client *c);
void flow_forget(struct flow_client *c); /* what was received so far */
void flow_close(struct flow_client *c);
struct tg_str flow_got(const struct flow_client *c);
/* The body of the answer: chunks joined. In `out`. */
struct tg_str flow_body(const struct flow_client *c, struct tg_buf *out);

#endif
