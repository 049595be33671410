/* A small client of a gateway for the terminal: one conversation, one streamed request at a time,
 * over the gateway's own HTTP client.
 * Thread rule: one thread, which runs the client's loop while it waits. */
#ifndef TG_MAIN_CHAT_CLIENT_H
#define TG_MAIN_CHAT_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/fail.h"
#include "base/str.h"

struct tg_chat_client;
struct tg_chat_client_opts {
    struct tg_str url;     /* "http://127.0.0.1:8000" */
    struct tg_str model;   /* "": the gateway's default */
    struct tg_str api_key; /* "": none */
    struct tg_str system;  /* "": none */
    /* Called with each piece of the answer as it comes. */
    void (*on_text)(void *ctx, struct tg_str text);
    void *ctx;
};
int tg_chat_client_new(const struct tg_chat_client_opts *o, struct tg_chat_client **out,
                       struct tg_fail *fail) TG_WARN_UNUSED;
void tg_chat_client_free(struct tg_chat_client *c);
/* Sends the conversation with one more user message and waits for the answer's end. The answer
 * becomes part of the conversation. TG_E_CANCELLED after tg_chat_client_cancel(); else the failure
 * with its text (the message is then taken back). */
int tg_chat_client_ask(struct tg_chat_client *c, struct tg_str message,
                       struct tg_fail *fail) TG_WARN_UNUSED;
/* From a signal handler: the running request ends. */
void tg_chat_client_cancel(struct tg_chat_client *c);
/* Whether something answers GET /health there within the time. */
bool tg_chat_client_probe(struct tg_chat_client *c, uint32_t timeout_ms);

#endif
