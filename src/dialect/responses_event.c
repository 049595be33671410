/* Events of OpenAI's Responses: their frame and their common members. */
#include "dialect/responses_priv.h"

bool tg_responses_open_event(struct tg_responses_out *c, const char *type)
{
    if (!c->info->stream)
        return false;
    tg_buf_lit(c->out, "event: ");
    tg_buf_str_add(c->out, tg_str_c(type));
    tg_buf_lit(c->out, "\ndata: {\"type\":\"");
    tg_buf_str_add(c->out, tg_str_c(type));
    tg_buf_lit(c->out, "\",\"sequence_number\":");
    tg_buf_u64(c->out, c->r->seq++);
    return true;
}

void tg_responses_close_event(struct tg_responses_out *c)
{
    tg_buf_lit(c->out, "}\n\n");
}

bool tg_responses_open_item_event(struct tg_responses_out *c, const char *type,
                                  const struct tg_responses_item *it)
{
    if (!tg_responses_open_event(c, type))
        return false;
    tg_buf_lit(c->out, ",\"item_id\":");
    tg_buf_json_str(c->out, it->id);
    tg_buf_lit(c->out, ",\"output_index\":");
    tg_buf_u64(c->out, (size_t)(it - c->r->items));
    return true;
}

void tg_responses_key(struct tg_responses_out *c, const char *name)
{
    tg_buf_lit(c->out, ",\"");
    tg_buf_str_add(c->out, tg_str_c(name));
    tg_buf_lit(c->out, "\":");
}

void tg_responses_key_u64(struct tg_responses_out *c, const char *name, uint64_t v)
{
    tg_responses_key(c, name);
    tg_buf_u64(c->out, v);
}

void tg_responses_note(struct tg_responses_out *c, int rc)
{
    if (rc && !c->rc)
        c->rc = rc;
}

void tg_responses_response_event(struct tg_responses_out *c, const char *type,
                                 const struct tg_responses_end *end)
{
    size_t at, n;
    if (!tg_responses_open_event(c, type))
        return;
    tg_responses_key(c, "response");
    tg_responses_note(c, tg_responses_write_response(c->r, c->info, end, c->out, &at, &n));
    tg_responses_close_event(c);
}

void tg_responses_item_event(struct tg_responses_out *c, const char *type,
                             const struct tg_responses_item *it, struct tg_str status, bool empty)
{
    if (!tg_responses_open_event(c, type))
        return;
    tg_responses_key_u64(c, "output_index", (size_t)(it - c->r->items));
    tg_responses_key(c, "item");
    tg_responses_note(c, tg_responses_write_item(c->r, it, status, empty, c->out));
    tg_responses_close_event(c);
}
