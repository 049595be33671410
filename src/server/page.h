/* An answer that is no exchange: an operator's page, a list, what is kept. It is made at once, or
 * after the store has answered, and then only waits to be delivered.
 * Thread rule: the worker's thread. It lives in its request's arena. */
#ifndef TG_SERVER_PAGE_H
#define TG_SERVER_PAGE_H

#include "base/buf.h"
#include "base/fail.h"
#include "net/http_server.h"
#include "server/worker.h"
#include "store/store.h"

struct tg_page {
    struct tg_task task;
    struct tg_grave grave;
    struct tg_worker *worker;
    struct tg_http_conn *conn;
    struct tg_http_req *req;
    struct tg_str request_id, cors_origin;
    struct tg_str path, query;
    struct tg_buf body;
    int status;
    const char *type;
    const char *allow; /* of a 405 */
    /* The shape of errors, by who asks; NULL: OpenAI's. */
    void (*render_fail)(const struct tg_fail *f, struct tg_str request_id, bool in_stream,
                        struct tg_buf *out);
    bool wants_body;               /* finish() makes the page when the request's body is there */
    const char *policy, *encoding; /* Content-Security-Policy, Content-Encoding; or NULL */
    /* Of a page that asks the store: */
    struct tg_store_wait wait;
    struct tg_timer timer;
    struct tg_store_result *result;
    void (*finish)(struct tg_page *p); /* makes the body of the result; NULL: ready at once */
};

/* NULL: no memory; the connection was aborted and the request freed. */
struct tg_page *tg_page_new(struct tg_worker *w, struct tg_http_conn *c, struct tg_http_req *req);
/* The body becomes an error. */
void tg_page_fail(struct tg_page *p, const struct tg_fail *f);
void tg_page_fail_with(struct tg_page *p, int err, const char *text);
void tg_page_send(struct tg_page *p);
/* After a question was put to the store with p->wait: finish() is called when it is answered; what
 * takes too long is an error. */
void tg_page_await(struct tg_page *p, void (*finish)(struct tg_page *p));

#endif
