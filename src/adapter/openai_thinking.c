/* How much to think, and what was thought before, in the form of the provider: its quirks say
 * which (quirks.h). */
#include "adapter/openai_priv.h"
#include "chat/reasoning_details.h"

/* 0: not at all, 1: yes, -1: nothing is said. */
static int wants_thinking(const struct tg_reasoning_opts *r)
{
    if (r->budget_tokens == 0 || tg_str_eq(r->effort, TG_STR("none")))
        return 0;
    return r->budget_tokens > 0 || r->effort.n || r->adaptive ? 1 : -1;
}

/* OpenRouter: effort or max_tokens, not both. */
static void write_object(struct tg_jw *w, const struct tg_reasoning_opts *r)
{
    int wants = wants_thinking(r);
    if (wants < 0 && r->show < 0)
        return;
    tg_jw_key(w, TG_STR("reasoning"));
    tg_jw_obj(w);
    if (r->effort.n)
        tg_jw_kstr(w, TG_STR("effort"), r->effort);
    else if (r->budget_tokens > 0)
        tg_jw_ki64(w, TG_STR("max_tokens"), r->budget_tokens);
    else if (wants >= 0)
        tg_jw_kbool(w, TG_STR("enabled"), wants > 0);
    if (r->show >= 0)
        tg_jw_kbool(w, TG_STR("exclude"), r->show == 0);
    tg_jw_end_obj(w);
}

static void write_switch(struct tg_jw *w, const struct tg_reasoning_opts *r)
{
    int wants = wants_thinking(r);
    if (wants < 0)
        return;
    tg_jw_key(w, TG_STR("thinking"));
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("type"), wants ? TG_STR("enabled") : TG_STR("disabled"));
    tg_jw_end_obj(w);
}

/* Some have the switch alone. */
static void write_budget(const struct tg_openai_enc *e, const struct tg_reasoning_opts *r)
{
    int wants = wants_thinking(r);
    if (wants < 0)
        return;
    tg_jw_kbool(e->w, TG_STR("enable_thinking"), wants > 0);
    if (r->budget_tokens > 0 && tg_openai_fate(e, TG_FEATURE_BUDGET) == TG_NATIVE)
        tg_jw_ki64(e->w, TG_STR("thinking_budget"), r->budget_tokens);
}

void tg_openai_write_thinking(const struct tg_openai_enc *e)
{
    const struct tg_reasoning_opts *r = &e->req->reasoning;
    enum tg_reasoning_form form = e->q ? e->q->reasoning : TG_REASONING_EFFORT;
    if (e->own && r->raw.n && (!e->q || !e->q->name[0] || form == TG_REASONING_OBJECT)) {
        tg_jw_kraw(e->w, TG_STR("reasoning"), r->raw);
        return;
    }
    switch (form) {
    case TG_REASONING_EFFORT:
        if (r->effort.n && tg_openai_takes(e, TG_FEATURE_EFFORT))
            tg_jw_kstr(e->w, TG_STR("reasoning_effort"), r->effort);
        break;
    case TG_REASONING_OBJECT:
        write_object(e->w, r);
        break;
    case TG_REASONING_THINKING:
        write_switch(e->w, r);
        if (r->effort.n && wants_thinking(r) > 0)
            tg_jw_kstr(e->w, TG_STR("reasoning_effort"), r->effort);
        break;
    case TG_REASONING_ENABLE_THINKING:
        write_budget(e, r);
        break;
    case TG_REASONING_NONE:
        break;
    }
}

/* ---- earlier turns ---- */

static void write_text(const struct tg_openai_enc *e, const struct tg_message *m, struct tg_str key)
{
    bool open = false;
    for (size_t i = 0; i < m->n_parts; i++) {
        const struct tg_part *p = &m->parts[i];
        if (p->kind != TG_PART_REASONING || !p->text.n || (e->own && p->raw.n))
            continue;
        if (!open) {
            tg_jw_key(e->w, key);
            tg_jw_str_open(e->w);
            open = true;
        }
        tg_jw_str_piece(e->w, p->text);
    }
    if (open)
        tg_jw_str_close(e->w);
}

static bool has_detail(const struct tg_part *p)
{
    return p->kind == TG_PART_REASONING || p->opaque == TG_OPAQUE_THOUGHT;
}

static void write_details(const struct tg_openai_enc *e, const struct tg_message *m)
{
    unsigned n = 0, index = 0;
    for (size_t i = 0; i < m->n_parts; i++) {
        const struct tg_part *p = &m->parts[i];
        if (!has_detail(p))
            continue;
        bool reasoning = p->kind == TG_PART_REASONING;
        struct tg_reasoning_detail d = {.index = index++,
                                        .text = reasoning ? p->text : TG_STR(""),
                                        .opaque = p->opaque,
                                        .signature = p->signature,
                                        .id = p->call_id};
        if (!n && (d.text.n || d.signature.n)) {
            tg_jw_key(e->w, TG_STR("reasoning_details"));
            tg_buf_char(e->w->b, '[');
        }
        tg_reasoning_detail_write(&d, &n, e->w->b);
    }
    if (n) {
        tg_buf_char(e->w->b, ']');
        e->w->comma = true;
    }
}

/* As the client of the same format sent it; false: it sent none. */
static bool write_own(const struct tg_openai_enc *e, const struct tg_message *m)
{
    bool any = false;
    for (size_t i = 0; i < m->n_parts; i++) {
        any |= m->parts[i].extra.members.n > 0;
        tg_jw_members(e->w, m->parts[i].extra.members);
    }
    return any;
}

/* The signature of a text stands in the message, where Gemini's own endpoint has it. */
static void write_text_thought(const struct tg_openai_enc *e, const struct tg_message *m)
{
    for (size_t i = 0; i < m->n_parts; i++) {
        if (m->parts[i].kind == TG_PART_TEXT && m->parts[i].signature.n) {
            tg_openai_write_thought(e, &m->parts[i]);
            return;
        }
    }
}

void tg_openai_write_reasoning(const struct tg_openai_enc *e, const struct tg_message *m)
{
    enum tg_reasoning_back back = e->q ? e->q->reasoning_back : TG_REASONING_BACK_NONE;
    if (e->own && write_own(e, m))
        return;
    if (back == TG_REASONING_BACK_CONTENT)
        write_text(e, m, TG_STR("reasoning_content"));
    else if (back == TG_REASONING_BACK_SHORT)
        write_text(e, m, TG_STR("reasoning"));
    else if (back == TG_REASONING_BACK_DETAILS)
        write_details(e, m);
    write_text_thought(e, m);
}

void tg_openai_write_thought(const struct tg_openai_enc *e, const struct tg_part *p)
{
    bool in_details = e->q && e->q->reasoning_back == TG_REASONING_BACK_DETAILS;
    if (p->opaque != TG_OPAQUE_THOUGHT || !p->signature.n || in_details ||
        tg_openai_fate(e, TG_FEATURE_THOUGHT) != TG_NATIVE)
        return;
    tg_jw_key(e->w, TG_STR("extra_content"));
    tg_jw_obj(e->w);
    tg_jw_key(e->w, TG_STR("google"));
    tg_jw_obj(e->w);
    tg_jw_kstr(e->w, TG_STR("thought_signature"), p->signature);
    tg_jw_end_obj(e->w);
    tg_jw_end_obj(e->w);
}
