/* What an operator leaves out of requests to a provider that would refuse it (setting `drop`): a
 * request without the named features, members and tools.
 *
 * A name is a feature's (chat/fidelity.h; `tool_choice` also stands for `tool_choice:named` and its
 * like), what the client's format calls it, a top-level member, or the type of a tool that the
 * provider itself runs (`web_search` also for its versions, such as `web_search_20250305`).
 * Thread rule: pure functions; memory from the arena. */
#ifndef TG_CHAT_DROP_H
#define TG_CHAT_DROP_H

#include "base/arena.h"
#include "base/compiler.h"
#include "base/fail.h"
#include "chat/fidelity.h"
#include "chat/request.h"

struct tg_drop {
    const struct tg_str *names;
    size_t n;
    struct tg_client_fields client;
};

/* 0: the request uses none of it; 1: *out_req is the request without, and *out_losses says what was
 * left out. UNSUPPORTED_PARAMETER: the tool choice asks for a tool that is left out. NOMEM. */
int tg_drop_apply(struct tg_arena *a, const struct tg_drop *d, const struct tg_chat_req *req,
                  struct tg_chat_req **out_req, struct tg_losses *out_losses,
                  struct tg_fail *f) TG_WARN_UNUSED;

/* The same for the client's own bytes (d->client.body, JSON): fields by path and tools by type. 1:
 * *out_body is the body without, *out_left_out names what went; 0: nothing of it is in the body.
 * `req`: the request parsed, NULL when it does not parse. NOMEM. */
int tg_drop_body(struct tg_arena *a, const struct tg_drop *d, const struct tg_chat_req *req,
                 struct tg_str *out_body, struct tg_str *out_left_out) TG_WARN_UNUSED;

#endif
