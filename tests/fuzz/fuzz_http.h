/* What the two targets of the HTTP/1.1 parser share: a run over one message that keeps all it saw,
 * and llhttp's own reading of the same bytes to hold it against. */
#ifndef TG_TESTS_FUZZ_HTTP_H
#define TG_TESTS_FUZZ_HTTP_H

#include <llhttp.h>

#include "base/arena.h"
#include "base/buf.h"
#include "fuzz.h"
#include "wire/h1.h"

enum { FUZZ_HTTP_BODY_BYTES = 1 << 18 };

/* One message as the parser saw it; the head lives in the arena. */
struct http_seen {
    struct tg_arena arena;
    const struct tg_http_head *head; /* NULL: it was not reached */
    struct tg_buf body;
    size_t used; /* bytes of the input that belong to it */
    int err;
    bool ended, ended_by_eof;
};

static inline void http_seen_fini(struct http_seen *s)
{
    tg_arena_fini(&s->arena);
    tg_buf_fini(&s->body);
}

static inline void http_on_event(struct http_seen *s, const struct tg_h1_event *ev)
{
    FUZZ_CHECK(!s->ended);
    switch (ev->kind) {
    case TG_H1_HEAD:
        FUZZ_CHECK(!s->head);
        s->head = ev->head;
        return;
    case TG_H1_BODY:
        FUZZ_CHECK(s->head && ev->body.n > 0);
        FUZZ_CHECK(tg_buf_str_add(&s->body, ev->body) == 0);
        return;
    case TG_H1_END:
        FUZZ_CHECK(s->head);
        s->ended = true;
        return;
    }
}

/* Reads one message from the start of text, in reads of `piece` bytes (0: one read). */
static inline void http_see(struct http_seen *s, enum tg_h1_role role, enum tg_http_method method,
                            struct tg_str text, size_t piece)
{
    struct fuzz_cutter cutter = {text, piece};
    struct tg_h1 *parser;
    struct tg_h1_event ev;
    struct tg_str in = text;

    *s = (struct http_seen){0};
    tg_arena_init(&s->arena, 4096, 1 << 20);
    tg_buf_init(&s->body, FUZZ_HTTP_BODY_BYTES);
    FUZZ_CHECK(tg_h1_new(role, &tg_h1_limits_default, &s->arena, &parser) == 0);
    if (role == TG_H1_RESPONSE)
        tg_h1_set_request_method(parser, method);
    while (s->err == 0 && !s->ended && fuzz_cut(&cutter, &in)) {
        while (!s->ended && (s->err = tg_h1_next(parser, &in, &ev)) > 0)
            http_on_event(s, &ev);
        s->err = s->err < 0 ? s->err : 0;
        FUZZ_CHECK(s->err < 0 || s->ended || in.n == 0);
    }
    s->used = (size_t)(in.p - text.p);
    if (s->err == 0 && !s->ended) {
        int rc = tg_h1_eof(parser, &ev);

        FUZZ_CHECK(rc <= 0 || ev.kind == TG_H1_END);
        s->ended = s->ended_by_eof = rc > 0;
        s->err = rc < 0 ? rc : 0;
    }
}

static inline bool http_same_head(const struct tg_http_head *a, const struct tg_http_head *b)
{
    if (a->method != b->method || a->status != b->status || !tg_str_eq(a->target, b->target) ||
        !tg_str_eq(a->host, b->host) || a->minor != b->minor || a->keep_alive != b->keep_alive ||
        a->expect_continue != b->expect_continue || a->body != b->body ||
        a->content_length != b->content_length || a->n_headers != b->n_headers)
        return false;
    for (size_t i = 0; i < a->n_headers; i++) {
        if (!tg_str_eq(a->headers[i].name, b->headers[i].name) ||
            !tg_str_eq(a->headers[i].value, b->headers[i].value))
            return false;
    }
    return true;
}

/* Two runs over the same bytes, cut in different ways. */
static inline void http_check_same(const struct http_seen *a, const struct http_seen *b)
{
    FUZZ_CHECK(a->err == b->err && a->ended == b->ended && a->ended_by_eof == b->ended_by_eof);
    FUZZ_CHECK(!a->head == !b->head);
    FUZZ_CHECK(!a->head || http_same_head(a->head, b->head));
    FUZZ_CHECK(tg_str_eq(tg_buf_str(&a->body), tg_buf_str(&b->body)));
    FUZZ_CHECK(a->err < 0 || a->used == b->used);
}

static inline void http_check_head(const struct tg_http_head *head)
{
    FUZZ_CHECK(head->n_headers <= TG_HTTP_MAX_HEADERS && head->minor <= 1);
    for (size_t i = 0; i < head->n_headers; i++) {
        struct tg_str name = head->headers[i].name, value = head->headers[i].value;

        FUZZ_CHECK(name.n > 0);
        for (size_t k = 0; k < name.n; k++)
            FUZZ_CHECK((unsigned char)name.p[k] > ' ' && (unsigned char)name.p[k] < 0x7f &&
                       name.p[k] != ':');
        for (size_t k = 0; k < value.n; k++)
            FUZZ_CHECK(value.p[k] == '\t' ||
                       ((unsigned char)value.p[k] >= ' ' && value.p[k] != 0x7f));
        FUZZ_CHECK(value.n == 0 || (value.p[0] != ' ' && value.p[value.n - 1] != ' '));
    }
    for (size_t k = 0; k < head->target.n; k++)
        FUZZ_CHECK((unsigned char)head->target.p[k] > ' ');
}

/* ---- llhttp's reading ---- */

struct http_llhttp {
    struct tg_buf body;
    bool skip_body, complete;
    bool in_body; /* headers from now on are trailers */
    bool other;   /* something that llhttp judges by rules of its own */
};

static inline int http_on_headers(llhttp_t *l)
{
    struct http_llhttp *h = l->data;
    bool interim = llhttp_get_type(l) == HTTP_RESPONSE && llhttp_get_status_code(l) < 200;
    h->in_body = !interim;
    h->other |= interim && !llhttp_should_keep_alive(l);
    return h->skip_body && !interim ? 1 : 0;
}

static inline int http_on_body(llhttp_t *l, const char *p, size_t n)
{
    struct http_llhttp *h = l->data;
    FUZZ_CHECK(tg_buf_add(&h->body, p, n) == 0);
    return 0;
}

static inline int http_on_extension(llhttp_t *l, const char *p, size_t n)
{
    ((struct http_llhttp *)l->data)->other = true;
    return 0;
}

static inline int http_on_field(llhttp_t *l, const char *p, size_t n)
{
    struct http_llhttp *h = l->data;
    h->other |= h->in_body;
    return 0;
}

static inline int http_on_complete(llhttp_t *l)
{
    struct http_llhttp *h = l->data;
    if (llhttp_get_type(l) == HTTP_RESPONSE && llhttp_get_status_code(l) < 200)
        return 0; /* interim */
    h->complete = true;
    return HPE_PAUSED;
}

/* A message that was taken whole: llhttp, strict, must find it whole too, with the same body and
 * the same end. Not where it has other rules: it holds chunk extensions to a grammar, lets trailers
 * frame the message, and reads nothing behind an interim answer that says close. */
static inline void http_check_llhttp(const struct http_seen *s, struct tg_str text,
                                     llhttp_type_t type, bool skip_body)
{
    struct http_llhttp h = {.skip_body = skip_body};
    llhttp_settings_t settings;
    llhttp_t l;

    if (!s->ended)
        return;
    tg_buf_init(&h.body, FUZZ_HTTP_BODY_BYTES);
    llhttp_settings_init(&settings);
    settings.on_headers_complete = http_on_headers;
    settings.on_body = http_on_body;
    settings.on_chunk_extension_name = http_on_extension;
    settings.on_header_field = http_on_field;
    settings.on_message_complete = http_on_complete;
    llhttp_init(&l, type, &settings);
    l.data = &h;
    llhttp_errno_t e = llhttp_execute(&l, text.p, s->used);
    if (e == HPE_STRICT && strstr(llhttp_get_error_reason(&l), "chunk extension"))
        h.other = true;
    if (s->ended_by_eof && e == HPE_OK)
        e = llhttp_finish(&l);
    if (!h.other) {
        FUZZ_CHECK(h.complete && (e == HPE_PAUSED || e == HPE_OK));
        FUZZ_CHECK(s->ended_by_eof || llhttp_get_error_pos(&l) == text.p + s->used);
        FUZZ_CHECK(tg_str_eq(tg_buf_str(&h.body), tg_buf_str(&s->body)));
    }
    tg_buf_fini(&h.body);
}

#endif
