/* Where an exchange's answer goes: an HTTP connection, a batch row, a test's buffer. One table, one
 * context; the exchange never knows which.
 * Thread rule: the worker's thread. The implementor wakes the exchange's task on every event. */
#ifndef TG_CORE_REPLY_H
#define TG_CORE_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"
#include "io/loop.h"
#include "wire/http.h"

enum tg_reply_event {
    TG_REPLY_BODY_DONE = 1, /* the request is complete */
    TG_REPLY_GONE = 2,      /* nobody listens any more */
    TG_REPLY_DRAINED = 4,   /* below the low mark again */
    TG_REPLY_FLUSHED = 8,   /* all was delivered */
};

struct tg_reply_ops {
    /* content_length UINT64_MAX: unknown, a stream. */
    int (*respond)(void *ctx, int status, const struct tg_http_header *headers, size_t n,
                   uint64_t content_length);
    int (*write)(void *ctx, struct tg_str bytes);
    void (*end)(void *ctx);
    void (*abort)(void *ctx); /* broken: no proper end */
    unsigned (*take_events)(void *ctx);
    bool (*above_high)(void *ctx);
    uint64_t (*bytes_out)(void *ctx);
    void (*detach)(void *ctx); /* the exchange goes; the last call */
};

struct tg_reply {
    const struct tg_reply_ops *ops;
    void *ctx;
};

struct tg_http_conn;
/* A reply over a server connection; `owner` is woken. */
struct tg_reply tg_reply_http(struct tg_http_conn *c, struct tg_task *owner);

#endif
