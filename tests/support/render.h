/* Runs a dialect's rendering over events and keeps what it wrote. Include after check.h; link
 * dialect. */
#ifndef TG_TEST_RENDER_H
#define TG_TEST_RENDER_H

#include "base/alloc.h"
#include "base/err.h"
#include "dialect/dialect.h"

struct render_run {
    const struct tg_dialect *dialect;
    struct tg_arena arena;
    struct tg_call call;
    struct tg_render_info info;
    struct tg_usage usage;
    struct tg_buf out;
    void *state;
    int rc; /* of the first step that failed */
};

/* body: the request, opened by the dialect; NULL: none. */
static inline void render_init(struct render_run *r, const struct tg_dialect *d, const char *body,
                               bool stream)
{
    *r = (struct render_run){.dialect = d};
    tg_arena_init(&r->arena, 1024, 8u << 20);
    tg_buf_init(&r->out, 16u << 20);
    if (body)
        assert_int_equal(d->open(&r->arena, NULL, tg_str_c(body), &r->call, NULL), 0);
    r->info = (struct tg_render_info){
        .id = TG_STR("chatcmpl-1"),
        .request_id = TG_STR("req_1"),
        .model = TG_STR("gpt-\"4\""),
        .provider = TG_STR("openai"),
        .created_s = 1700000000,
        .started_us = 1000000,
        .stream = stream,
        .call = body ? &r->call : NULL,
        .arena = &r->arena,
    };
    r->usage = (struct tg_usage){TG_USAGE_REPORTED, 10, 3, 0, 5, 2};
    r->state = tg_calloc(1, d->state_bytes);
    assert_non_null(r->state);
}

static inline void render_begin(struct render_run *r)
{
    r->rc = r->dialect->begin(r->state, &r->info);
}

static inline void render_event(struct render_run *r, const struct tg_event *ev)
{
    if (!r->rc)
        r->rc = r->dialect->render(r->state, &r->info, ev, &r->out);
}

static inline void render_part(struct render_run *r, uint32_t choice, uint32_t part,
                               enum tg_part_kind kind, const char *id, const char *name)
{
    render_event(r, &(struct tg_event){.kind = TG_EV_PART_START,
                                       .choice = choice,
                                       .part = part,
                                       .part_kind = kind,
                                       .id = tg_str_c(id),
                                       .name = tg_str_c(name)});
}

static inline void render_delta(struct render_run *r, uint32_t choice, uint32_t part,
                                enum tg_delta_kind kind, const char *text, const char *logprobs)
{
    render_event(r, &(struct tg_event){.kind = TG_EV_DELTA,
                                       .choice = choice,
                                       .part = part,
                                       .delta_kind = kind,
                                       .text = tg_str_c(text),
                                       .logprobs = tg_str_c(logprobs)});
}

static inline void render_finish_choice(struct render_run *r, uint32_t choice, enum tg_finish f,
                                        const char *word)
{
    render_event(r,
                 &(struct tg_event){
                     .kind = TG_EV_FINISH, .choice = choice, .finish = f, .text = tg_str_c(word)});
}

/* The rest of the answer, 1,234.5 ms after its start. */
static inline struct tg_str render_end(struct render_run *r)
{
    if (!r->rc)
        r->rc = r->dialect->finish(r->state, &r->info, &r->usage, 1000000 + 1234500, &r->out);
    return tg_buf_str(&r->out);
}

static inline void render_fini(struct render_run *r)
{
    if (r->dialect->fini)
        r->dialect->fini(r->state);
    tg_free(r->state);
    tg_buf_fini(&r->out);
    tg_arena_fini(&r->arena);
}

#endif
