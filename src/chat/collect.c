#include "chat/collect.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"

/* Grows a vector of zeroed items to hold one more. */
static int grow(void **items, size_t *cap, size_t n, size_t item_bytes)
{
    if (n < *cap)
        return 0;
    size_t new_cap = *cap ? *cap * 2 : 2;
    char *p = tg_realloc(*items, new_cap * item_bytes);
    if (!p)
        return TG_E_NOMEM;
    memset(p + *cap * item_bytes, 0, (new_cap - *cap) * item_bytes);
    *items = p;
    *cap = new_cap;
    return 0;
}

static int add(struct tg_collect *c, struct tg_buf *b, struct tg_str s)
{
    size_t max = c->max_bytes ? c->max_bytes : TG_COLLECT_MAX_BYTES;
    if (s.n > max - c->used_bytes)
        return TG_E_UPSTREAM_TOO_LARGE;
    if (s.n == 0)
        return 0;
    b->max_bytes = max;
    int rc = tg_buf_str_add(b, s);
    if (rc)
        return rc == TG_E_FULL ? TG_E_UPSTREAM_TOO_LARGE : rc;
    c->used_bytes += s.n;
    return 0;
}

static int find_choice(struct tg_collect *c, uint32_t index, struct tg_collect_choice **out)
{
    size_t i = c->n_choices;
    while (i > 0 && c->choices[i - 1].index > index)
        i--;
    if (i > 0 && c->choices[i - 1].index == index) {
        *out = &c->choices[i - 1];
        return 0;
    }
    if (c->n_choices >= TG_COLLECT_MAX_CHOICES)
        return TG_E_UPSTREAM_TOO_LARGE;
    void *items = c->choices;
    int rc = grow(&items, &c->cap_choices, c->n_choices, sizeof(*c->choices));
    if (rc)
        return rc;
    c->choices = items;
    memmove(c->choices + i + 1, c->choices + i, (c->n_choices - i) * sizeof(*c->choices));
    c->choices[i] = (struct tg_collect_choice){.index = index};
    c->n_choices++;
    *out = &c->choices[i];
    return 0;
}

static int find_part(struct tg_collect *c, struct tg_collect_choice *ch, uint32_t part,
                     struct tg_collect_part **out)
{
    if (part >= TG_COLLECT_MAX_PARTS)
        return TG_E_UPSTREAM_TOO_LARGE;
    while (ch->n_parts <= part) {
        if (c->n_parts >= TG_COLLECT_MAX_ALL)
            return TG_E_UPSTREAM_TOO_LARGE;
        void *items = ch->parts;
        int rc = grow(&items, &ch->cap_parts, ch->n_parts, sizeof(*ch->parts));
        if (rc)
            return rc;
        ch->parts = items;
        ch->parts[ch->n_parts++].kind = TG_PART_RAW;
        c->n_parts++;
    }
    *out = &ch->parts[part];
    return 0;
}

static enum tg_part_kind kind_of_delta(enum tg_delta_kind k)
{
    switch (k) {
    case TG_DELTA_TEXT:
    case TG_DELTA_CITATION:
        return TG_PART_TEXT;
    case TG_DELTA_ARGUMENTS:
        return TG_PART_TOOL_CALL;
    case TG_DELTA_REASONING:
    case TG_DELTA_SIGNATURE:
        return TG_PART_REASONING;
    case TG_DELTA_REFUSAL:
        return TG_PART_REFUSAL;
    }
    TG_UNREACHABLE();
}

static int add_citation(struct tg_collect *c, struct tg_collect_part *p,
                        const struct tg_citation *from)
{
    if (p->n_citations >= TG_COLLECT_MAX_PARTS)
        return TG_E_UPSTREAM_TOO_LARGE;
    void *items = p->citations;
    int rc = grow(&items, &p->cap_citations, p->n_citations, sizeof(*p->citations));
    if (rc)
        return rc;
    p->citations = items;
    struct tg_collect_citation *to = &p->citations[p->n_citations++];
    to->start = from->start;
    to->end = from->end;
    to->format = from->format;
    rc = add(c, &to->url, from->url);
    rc = rc ? rc : add(c, &to->title, from->title);
    rc = rc ? rc : add(c, &to->text, from->text);
    return rc ? rc : add(c, &to->raw, from->raw);
}

static int on_delta(struct tg_collect *c, struct tg_collect_choice *ch, const struct tg_event *ev)
{
    struct tg_collect_part *p;
    int rc = find_part(c, ch, ev->part, &p);
    if (rc)
        return rc;
    if (p->kind == TG_PART_RAW)
        p->kind = kind_of_delta(ev->delta_kind);
    if (ev->delta_kind == TG_DELTA_CITATION)
        return ev->citation ? add_citation(c, p, ev->citation) : 0;
    if (ev->delta_kind == TG_DELTA_SIGNATURE)
        p->opaque = ev->opaque;
    rc = add(c, ev->delta_kind == TG_DELTA_SIGNATURE ? &p->signature : &p->text, ev->text);
    if (!rc && ev->logprobs.n)
        rc = add(c, &ch->logprobs, ev->logprobs);
    if (!rc && ev->logprobs.n)
        rc = add(c, &ch->logprobs, tg_str_make(&(const char){TG_COLLECT_RS}, 1));
    return rc;
}

static int on_part_start(struct tg_collect *c, struct tg_collect_choice *ch,
                         const struct tg_event *ev)
{
    struct tg_collect_part *p;
    int rc = find_part(c, ch, ev->part, &p);
    if (rc)
        return rc;
    p->kind = ev->part_kind;
    p->format = ev->format;
    rc = add(c, &p->id, ev->id);
    rc = rc ? rc : add(c, &p->name, ev->name);
    if (!rc && ev->signature.n) {
        p->opaque = ev->opaque;
        rc = add(c, &p->signature, ev->signature);
    }
    if (!rc && ev->media) {
        rc = add(c, &p->text, ev->media->data);
        return rc ? rc : add(c, &p->mime, ev->media->mime);
    }
    return rc ? rc : add(c, &p->text, ev->text);
}

static int on_finish(struct tg_collect *c, struct tg_collect_choice *ch, const struct tg_event *ev)
{
    if (ch->finished)
        return 0;
    ch->finished = true;
    ch->finish = ev->finish;
    int rc = add(c, &ch->stop_text, ev->stop_text);
    return rc ? rc : add(c, &ch->finish_text, ev->text);
}

static int on_item(struct tg_collect *c, const struct tg_event *ev, struct tg_collect_item **list,
                   size_t *n, size_t *cap)
{
    if (*n >= TG_COLLECT_MAX_ITEMS)
        return TG_E_UPSTREAM_TOO_LARGE;
    void *items = *list;
    int rc = grow(&items, cap, *n, sizeof(**list));
    if (rc)
        return rc;
    *list = items;
    struct tg_collect_item *it = &(*list)[(*n)++];
    it->index = ev->choice;
    it->format = ev->format;
    rc = add(c, &it->name, ev->name);
    return rc ? rc : add(c, &it->text, ev->text);
}

static int on_start(struct tg_collect *c, const struct tg_event *ev)
{
    int rc = c->id.n ? 0 : add(c, &c->id, ev->id);
    return rc || c->service_tier.n ? rc : add(c, &c->service_tier, ev->service_tier);
}

int tg_collect_on_event(struct tg_collect *c, const struct tg_event *ev)
{
    if (ev->kind == TG_EV_START)
        return on_start(c, ev);
    if (ev->kind == TG_EV_ITEM)
        return on_item(c, ev, &c->items, &c->n_items, &c->cap_items);
    if (ev->kind == TG_EV_EXTRA)
        return on_item(c, ev, &c->extras, &c->n_extras, &c->cap_extras);
    if (ev->kind != TG_EV_PART_START && ev->kind != TG_EV_DELTA && ev->kind != TG_EV_FINISH)
        return 0;
    struct tg_collect_choice *ch;
    int rc = find_choice(c, ev->choice, &ch);
    if (rc)
        return rc;
    if (ev->kind == TG_EV_PART_START)
        return on_part_start(c, ch, ev);
    if (ev->kind == TG_EV_DELTA)
        return on_delta(c, ch, ev);
    return on_finish(c, ch, ev);
}

static void fini_part(struct tg_collect_part *p)
{
    for (size_t i = 0; i < p->n_citations; i++) {
        tg_buf_fini(&p->citations[i].url);
        tg_buf_fini(&p->citations[i].title);
        tg_buf_fini(&p->citations[i].text);
        tg_buf_fini(&p->citations[i].raw);
    }
    tg_free(p->citations);
    tg_buf_fini(&p->id);
    tg_buf_fini(&p->name);
    tg_buf_fini(&p->text);
    tg_buf_fini(&p->mime);
    tg_buf_fini(&p->signature);
}

static void fini_items(struct tg_collect_item *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        tg_buf_fini(&list[i].name);
        tg_buf_fini(&list[i].text);
    }
    tg_free(list);
}

static void fini_choice(struct tg_collect_choice *ch)
{
    for (size_t i = 0; i < ch->n_parts; i++)
        fini_part(&ch->parts[i]);
    tg_free(ch->parts);
    tg_buf_fini(&ch->finish_text);
    tg_buf_fini(&ch->stop_text);
    tg_buf_fini(&ch->logprobs);
}

void tg_collect_fini(struct tg_collect *c)
{
    for (size_t i = 0; i < c->n_choices; i++)
        fini_choice(&c->choices[i]);
    tg_free(c->choices);
    fini_items(c->items, c->n_items);
    fini_items(c->extras, c->n_extras);
    tg_buf_fini(&c->id);
    tg_buf_fini(&c->service_tier);
    *c = (struct tg_collect){.max_bytes = c->max_bytes};
}

bool tg_collect_text(const struct tg_collect_choice *ch, enum tg_part_kind kind, struct tg_buf *out)
{
    bool any = false;
    for (size_t i = 0; i < ch->n_parts; i++) {
        if (ch->parts[i].kind != kind)
            continue;
        any = true;
        tg_buf_str_add(out, tg_buf_str(&ch->parts[i].text));
    }
    return any;
}

bool tg_collect_has(const struct tg_collect_choice *ch, enum tg_part_kind kind)
{
    for (size_t i = 0; i < ch->n_parts; i++) {
        if (ch->parts[i].kind == kind)
            return true;
    }
    return false;
}
