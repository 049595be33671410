#include "policy/estimate.h"

enum { PER_MESSAGE = 4, PER_IMAGE = 1000, PER_DOCUMENT = 2500 };

int64_t tg_estimate_text(struct tg_str s)
{
    int64_t ascii = 0, others = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        ascii += c < 0x80;
        others += c >= 0xC0; /* first bytes of longer characters */
    }
    return (ascii + 3) / 4 + others;
}

static int64_t part_tokens(const struct tg_part *p)
{
    int64_t n =
        tg_estimate_text(p->text) + tg_estimate_text(p->tool_name) + tg_estimate_text(p->arguments);
    if (p->kind == TG_PART_IMAGE)
        return n + PER_IMAGE;
    if (p->kind == TG_PART_DOCUMENT || p->kind == TG_PART_AUDIO)
        return n + PER_DOCUMENT;
    return p->kind == TG_PART_RAW ? n + tg_estimate_text(p->raw) : n;
}

static int64_t message_tokens(const struct tg_message *m)
{
    int64_t n = PER_MESSAGE;
    for (size_t i = 0; i < m->n_parts; i++) {
        n += part_tokens(&m->parts[i]);
        for (size_t k = 0; k < m->parts[i].n_parts; k++) /* a result's parts have none of theirs */
            n += part_tokens(&m->parts[i].parts[k]);
    }
    return n;
}

int64_t tg_estimate_prompt(const struct tg_chat_req *req)
{
    int64_t n = tg_estimate_text(req->prompt);
    for (size_t i = 0; i < req->n_messages; i++)
        n += message_tokens(&req->messages[i]);
    for (size_t i = 0; i < req->n_tools; i++) {
        const struct tg_tool *t = &req->tools[i];
        n += PER_MESSAGE + tg_estimate_text(t->is_function ? t->name : t->raw) +
             tg_estimate_text(t->description) + tg_estimate_text(t->parameters);
    }
    return n;
}
