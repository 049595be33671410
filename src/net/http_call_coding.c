/* Compressed responses, decoded between the parser and the caller: a piece at a time, so that the
 * caller may pause between them, and not too many in one wake-up. */
#include "base/alloc.h"
#include "base/err.h"
#include "net/http_client_priv.h"

#define MAX_PIECES 16 /* in one wake-up: 256 KiB */

static bool names_coding(struct tg_str name)
{
    return tg_str_ieq(name, TG_STR("content-encoding")) ||
           tg_str_ieq(name, TG_STR("content-length"));
}

static const struct tg_http_head *plain_head(struct tg_arena *a, const struct tg_http_head *head)
{
    struct tg_http_head *h = tg_arena_new(a, struct tg_http_head);
    struct tg_http_header *list = tg_arena_alloc(a, sizeof *list * (head->n_headers + 1));
    if (!h || !list)
        return NULL;
    *h = *head;
    h->headers = list;
    h->n_headers = 0;
    for (size_t i = 0; i < head->n_headers; i++) {
        if (!names_coding(head->headers[i].name))
            list[h->n_headers++] = head->headers[i];
    }
    h->content_length = 0;
    h->body = TG_HTTP_BODY_CHUNKED; /* of a length that is not known before */
    return h;
}

int tg_call_coding_begin(struct tg_http_call *c, const struct tg_http_head **head,
                         struct tg_fail *fail)
{
    struct tg_http_client *client = c->origin->client;
    enum tg_coding coding = tg_coding_of(*head);
    if ((coding != TG_CODING_GZIP && coding != TG_CODING_DEFLATE) ||
        (*head)->body == TG_HTTP_BODY_NONE || c->opts.method == TG_HTTP_HEAD)
        return 0;
    if (!client->decoded)
        client->decoded = tg_malloc(TG_CLIENT_DECODED);
    const struct tg_http_head *plain = client->decoded ? plain_head(c->opts.arena, *head) : NULL;
    if (!plain || tg_inflate_new(coding, c->opts.max_body_bytes, &c->inflate))
        return tg_fail_set(fail, TG_E_NOMEM, "out of memory");
    *head = plain;
    return 0;
}

static int failed(int rc, struct tg_fail *fail)
{
    if (rc == TG_E_UPSTREAM_TOO_LARGE)
        return tg_fail_set(fail, rc, "the provider's compressed answer unpacks to too much");
    if (rc == TG_E_NOMEM)
        return tg_fail_set(fail, rc, "out of memory");
    return tg_fail_set(fail, rc, "the provider's answer is not compressed as it says");
}

int tg_call_coding_next(struct tg_http_call *c, struct tg_str *out, struct tg_fail *fail)
{
    struct tg_http_client *client = c->origin->client;
    if (c->pieces == MAX_PIECES) {
        c->pieces = 0;
        return TG_E_AGAIN;
    }
    int rc = tg_inflate_next(c->inflate, &c->coded, client->decoded, TG_CLIENT_DECODED, out);
    c->pieces++;
    if (rc < 0)
        return failed(rc, fail);
    c->inflating = rc > 0;
    return rc;
}

int tg_call_coding_end(struct tg_http_call *c, struct tg_fail *fail)
{
    if (!c->inflate || tg_inflate_whole(c->inflate))
        return 0;
    return tg_fail_set(fail, TG_E_UPSTREAM_INCOMPLETE,
                       "the provider's compressed answer broke off");
}

void tg_call_coding_fini(struct tg_http_call *c)
{
    tg_inflate_free(c->inflate);
    c->inflate = NULL;
    c->coded = tg_str_make(NULL, 0);
    c->inflating = false;
}
