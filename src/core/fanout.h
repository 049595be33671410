/* POST /v1/llm/chat: one request that stands for several. Each model's is an exchange of its own,
 * with retries, fallbacks, log lines and usage of its own; this joins their answers. One that fails
 * never fails the others.
 *
 *   first     the first to answer (streams: to say something) wins, the others are cancelled
 *   all       every answer, in one body or as one stream whose objects say which model they are of
 *   best_of   a judge picks one; without a verdict the first good answer is taken, and said so
 *   merge     a judge combines them
 *
 * Thread rule: the worker's thread. */
#ifndef TG_CORE_FANOUT_H
#define TG_CORE_FANOUT_H

#include "core/runtime.h"
#include "net/http_server.h"

/* Takes the request over; its body may still be on the way. `chat` is the dialect of the requests
 * to the models. On failure (memory) the request is freed and the connection aborted. */
void tg_fanout_start_http(struct tg_runtime *rt, struct tg_http_conn *conn, struct tg_http_req *req,
                          const struct tg_dialect *chat, struct tg_str cors_origin);

#endif
