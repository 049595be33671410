#include "base/err.h"
#include "core/reply.h"
#include "net/http_server.h"

/* The two event sets are the same on purpose: no translation on the hot path. */
_Static_assert((int)TG_REPLY_BODY_DONE == (int)TG_CONN_BODY_DONE, "reply events");
_Static_assert((int)TG_REPLY_GONE == (int)TG_CONN_GONE, "reply events");
_Static_assert((int)TG_REPLY_DRAINED == (int)TG_CONN_DRAINED, "reply events");
_Static_assert((int)TG_REPLY_FLUSHED == (int)TG_CONN_FLUSHED, "reply events");

static int respond(void *ctx, int status, const struct tg_http_header *headers, size_t n,
                   uint64_t content_length)
{
    return tg_http_conn_respond(ctx, status, headers, n, content_length);
}

static int write_bytes(void *ctx, struct tg_str bytes)
{
    return tg_http_conn_write(ctx, bytes);
}
static void end(void *ctx)
{
    tg_http_conn_end(ctx);
}
static void abort_reply(void *ctx)
{
    tg_http_conn_abort(ctx);
}
static unsigned take_events(void *ctx)
{
    return tg_http_conn_take_events(ctx);
}
static bool above_high(void *ctx)
{
    return tg_http_conn_above_high(ctx);
}
static uint64_t bytes_out(void *ctx)
{
    return tg_http_conn_bytes_out(ctx);
}
static void detach(void *ctx)
{
    tg_http_conn_detach(ctx);
}

static const struct tg_reply_ops http_ops = {
    .respond = respond,
    .write = write_bytes,
    .end = end,
    .abort = abort_reply,
    .take_events = take_events,
    .above_high = above_high,
    .bytes_out = bytes_out,
    .detach = detach,
};

struct tg_reply tg_reply_http(struct tg_http_conn *c, struct tg_task *owner)
{
    tg_http_conn_attach(c, owner);
    return (struct tg_reply){.ops = &http_ops, .ctx = c};
}
