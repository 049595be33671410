/* The HTTP/1.1 parser: the same events, or the same error, however the bytes are cut; a head never
 * holds what it must not. The first byte's top bit chooses requests or responses. */
#include "base/arena.h"
#include "fuzz.h"
#include "wire/h1.h"

struct outcome {
    uint64_t digest;
    size_t body_bytes, left; /* of the body; not consumed */
    int err;
    int ended;
};

static void check_head(const struct tg_http_head *head)
{
    FUZZ_CHECK(head->n_headers <= TG_HTTP_MAX_HEADERS);
    for (size_t i = 0; i < head->n_headers; i++) {
        struct tg_str value = head->headers[i].value;

        FUZZ_CHECK(head->headers[i].name.n > 0);
        for (size_t k = 0; k < value.n; k++)
            FUZZ_CHECK(value.p[k] != '\r' && value.p[k] != '\n' && value.p[k] != '\0');
    }
    for (size_t k = 0; k < head->target.n; k++)
        FUZZ_CHECK((unsigned char)head->target.p[k] > ' ');
}

static void on_head(struct outcome *o, const struct tg_http_head *head)
{
    check_head(head);
    o->digest = fuzz_mix(o->digest, &head->method, sizeof(head->method));
    o->digest = fuzz_mix(o->digest, &head->status, sizeof(head->status));
    o->digest = fuzz_mix(o->digest, &head->body, sizeof(head->body));
    o->digest = fuzz_mix_str(o->digest, head->target);
    for (size_t i = 0; i < head->n_headers; i++) {
        o->digest = fuzz_mix_str(o->digest, head->headers[i].name);
        o->digest = fuzz_mix_str(o->digest, head->headers[i].value);
    }
}

static void on_event(struct outcome *o, const struct tg_h1_event *ev)
{
    switch (ev->kind) {
    case TG_H1_HEAD:
        on_head(o, ev->head);
        return;
    case TG_H1_BODY:
        FUZZ_CHECK(ev->body.n > 0);
        o->digest = fuzz_mix(o->digest, ev->body.p, ev->body.n);
        o->body_bytes += ev->body.n;
        return;
    case TG_H1_END:
        FUZZ_CHECK(!o->ended);
        o->ended = 1;
        return;
    }
}

static struct outcome parse(enum tg_h1_role role, struct tg_str text, size_t piece)
{
    struct outcome o = {.digest = 14695981039346656037U};
    struct fuzz_cutter cutter = {text, piece};
    struct tg_arena arena;
    struct tg_h1 *parser;
    struct tg_h1_event ev;
    struct tg_str in;

    tg_arena_init(&arena, 4096, 1 << 20);
    FUZZ_CHECK(tg_h1_new(role, &tg_h1_limits_default, &arena, &parser) == 0);
    while (o.err == 0 && fuzz_cut(&cutter, &in)) {
        int rc;

        while ((rc = tg_h1_next(parser, &in, &ev)) > 0)
            on_event(&o, &ev);
        o.err = rc;
        FUZZ_CHECK(rc < 0 || o.ended || in.n == 0);
        o.left += in.n;
    }
    if (o.err == 0) {
        int rc = tg_h1_eof(parser, &ev);

        if (rc > 0)
            on_event(&o, &ev);
        o.err = rc < 0 ? rc : 0;
    }
    tg_arena_fini(&arena);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2 || n > 1 << 17)
        return 0;
    enum tg_h1_role role = data[0] & 0x80 ? TG_H1_RESPONSE : TG_H1_REQUEST;
    struct tg_str text = {(const char *)data + 1, n - 1};
    struct outcome whole = parse(role, text, 0);
    struct outcome cut = parse(role, text, (size_t)(data[0] & 0x7f) + 1);

    FUZZ_CHECK(whole.err == cut.err && whole.ended == cut.ended);
    if (whole.err == 0)
        FUZZ_CHECK(whole.digest == cut.digest && whole.left == cut.left &&
                   whole.body_bytes == cut.body_bytes);
    return 0;
}
