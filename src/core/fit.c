/* How a request goes to a target: passed through or translated, and what is lost on the way. A
 * request that a target can't take is refused here, before anything is sent. */
#include <stdio.h>

#include "base/err.h"
#include "chat/drop.h"
#include "core/exchange_priv.h"
#include "core/headers_priv.h"

static const struct tg_backend_ops *ops_of(const struct tg_exchange *x, const struct tg_target *t)
{
    return x->rt->backends[t->kind].ops;
}

static int parse_canonical(struct tg_exchange *x, struct tg_fail *f)
{
    if (x->chat)
        return 0;
    struct tg_chat_req *chat = tg_arena_new(tg_exchange_body_arena(x), struct tg_chat_req);
    if (!chat)
        return tg_fail_set(f, TG_E_NOMEM, "not enough memory for the request");
    int rc = x->dialect->parse(tg_exchange_body_arena(x), &x->call, chat, f);
    if (rc < 0)
        return rc;
    x->chat = chat;
    x->ask.features = tg_features_of(chat);
    return 0;
}

const struct tg_chat_req *tg_fit_parse(struct tg_exchange *x)
{
    struct tg_fail *f = &x->rt->scratch_fail;
    tg_fail_clear(f);
    if (!x->dialect->parse || parse_canonical(x, f) < 0)
        return NULL;
    return x->chat;
}

static int no_such_task(const struct tg_exchange *x, struct tg_fail *f)
{
    char quoted[100];
    return tg_fail_param(f, TG_E_UNSUPPORTED_PARAMETER, "model",
                         "the provider of the model '%s' has nothing that answers %s",
                         tg_fail_quote(x->plan->name, quoted, sizeof quoted), x->endpoint);
}

/* Counting is the one task that may be answered without the provider: by estimate, and said so. */
static int check_task(struct tg_exchange *x, uint32_t tasks, struct tg_fail *f)
{
    enum tg_chat_task task = x->dialect->task;
    if (tasks >> task & 1u)
        return 0;
    if (task != TG_TASK_COUNT)
        return no_such_task(x, f);
    x->fit.estimate = true;
    x->fit.lost.emulated |= TG_FEATURE_BIT(COUNTING);
    return 0;
}

/* The first tool that is no function: what its provider calls it. */
static struct tg_str own_tool(const struct tg_chat_req *req)
{
    for (size_t i = 0; i < req->n_tools; i++)
        if (!req->tools[i].is_function)
            return req->tools[i].type;
    return TG_STR("");
}

/* The type of the first part that only its own format knows; "" if it has none. */
static struct tg_str own_part(const struct tg_chat_req *req)
{
    for (size_t i = 0; i < req->n_messages; i++) {
        const struct tg_message *m = &req->messages[i];
        for (size_t k = 0; k < m->n_parts; k++) {
            if (m->parts[k].kind == TG_PART_RAW && m->parts[k].tool_name.n)
                return m->parts[k].tool_name;
        }
    }
    return TG_STR("");
}

/* What kind of it is meant, where the field alone does not say so. */
static struct tg_str own_type(const struct tg_chat_req *req, enum tg_feature f)
{
    return f == TG_FEATURE_TOOL_TYPES ? own_tool(req)
           : f == TG_FEATURE_RAW_PART ? own_part(req)
                                      : TG_STR("");
}

/* The client's own names of what it asks for. */
static struct tg_client_fields client_of(const struct tg_exchange *x)
{
    return (struct tg_client_fields){.names = x->dialect->fields, .body = x->call.body};
}

static int refuse(const struct tg_exchange *x, const struct tg_target *t, uint64_t refused,
                  struct tg_fail *f)
{
    enum tg_feature feature = (enum tg_feature)__builtin_ctzll(refused);
    struct tg_client_fields client = client_of(x);
    struct tg_str type = own_type(x->fit.chat, feature);
    char name[96], quoted[64];
    tg_str_to_c(tg_client_field(&client, feature), name, sizeof name);
    return tg_fail_param(
        f, TG_E_UNSUPPORTED_PARAMETER, name,
        "'%s'%s%s can't be translated for this model's provider (%s)", name, type.n ? " " : "",
        type.n ? tg_fail_quote(type, quoted, sizeof quoted) : "", tg_backend_kind_name(t->kind));
}

/* Quirks say what a provider's chat completions lack, not what its Responses do. */
static const struct tg_quirks *quirks_of(const struct tg_adapter *ad, const struct tg_target *t)
{
    return ad && ad->api == TG_WIRE_OPENAI_RESPONSES ? NULL : tg_target_quirks(t);
}

static int check_strict(const struct tg_exchange *x, const struct tg_target *t, struct tg_fail *f)
{
    struct tg_client_fields client = client_of(x);
    if (!x->ask.strict && !t->provider.strict)
        return 0;
    return tg_fidelity_strict(&x->fit.lost, &client, x->fit.chat, f);
}

/* What the provider's row says of the features that the request uses. */
static int weigh(struct tg_exchange *x, const struct tg_target *t, const uint8_t *row,
                 const struct tg_quirks *q, struct tg_fail *f)
{
    uint64_t all = x->fit.chat == x->chat ? x->ask.features : tg_features_of(x->fit.chat);
    uint64_t used = all & ~TG_FEATURE_BIT(COUNTING);
    if (row) {
        uint64_t refused = tg_quirks_with(used, row, q, TG_REFUSED);
        if (refused)
            return refuse(x, t, refused, f);
        x->fit.lost.dropped |=
            tg_quirks_with(used & ~tg_features_idle(x->fit.chat), row, q, TG_DROPPED);
        x->fit.lost.emulated |= tg_quirks_with(used, row, q, TG_EMULATED);
    }
    return check_strict(x, t, f);
}

/* ---- what the target's `drop` names ---- */

static struct tg_drop drop_of(const struct tg_exchange *x, const struct tg_target *t)
{
    return (struct tg_drop){
        .names = t->provider.drop.v, .n = t->provider.drop.n, .client = client_of(x)};
}

/* The client's own bytes without. 1, or 0 when something of it is left that is no field of the body
 * (an image in a message); then fit is as it was. */
static int drop_from_body(struct tg_exchange *x, const struct tg_target *t, struct tg_fail *f)
{
    struct tg_arena *a = tg_exchange_body_arena(x);
    struct tg_drop d = drop_of(x, t);
    struct tg_str body, left_out;
    int rc = tg_drop_body(a, &d, x->chat, &body, &left_out);
    struct tg_call *call = rc > 0 ? tg_arena_new(a, struct tg_call) : NULL;
    struct tg_chat_req *chat = call ? tg_arena_new(a, struct tg_chat_req) : NULL, *rest;
    struct tg_losses left;
    if (rc < 0 || (rc && !chat))
        return tg_fail_set(f, TG_E_NOMEM, "not enough memory for the request");
    if (rc == 0)
        return 0;
    rc = x->dialect->open(a, x->req->head, body, call, f);
    if (rc < 0)
        return rc;
    call->history = x->call.history;
    call->n_history = x->call.n_history;
    call->known = x->call.known;
    call->n_known = x->call.n_known;
    if (x->chat) {
        rc = x->dialect->parse(a, call, chat, f);
        rc = rc < 0 ? rc : tg_drop_apply(a, &d, chat, &rest, &left, f);
        if (rc)
            return rc < 0 ? rc : 0;
        x->fit.chat = chat;
    }
    x->fit.call = call;
    x->fit.lost.left_out = left_out;
    return 1;
}

/* `same`: the target's format is the client's, whose unknown members should survive. */
static int leave_out(struct tg_exchange *x, const struct tg_target *t, bool same, struct tg_fail *f)
{
    struct tg_drop d = drop_of(x, t);
    struct tg_chat_req *rest = NULL;
    struct tg_losses lost = {0};
    int rc = x->chat ? tg_drop_apply(tg_exchange_body_arena(x), &d, x->chat, &rest, &lost, f) : 0;
    if (rc < 0)
        return rc;
    int done = same ? drop_from_body(x, t, f) : 0;
    if (done || rc == 0)
        return done < 0 ? done : 0;
    if (same) { /* raw texts still have what was left out: it is written anew, as a stranger's */
        rest->wire = TG_WIRE_NONE;
        lost.dropped |= x->ask.features & TG_FEATURE_BIT(METADATA);
    }
    x->fit.chat = rest;
    x->fit.lost = lost;
    x->fit.pass = false;
    return 0;
}

/* Fills fit.chat with the request as this target is to get it. A request that would pass and does
 * not parse is the provider's to judge. */
static int prepare(struct tg_exchange *x, const struct tg_target *t, bool same, struct tg_fail *f)
{
    bool drops = t->provider.drop.n > 0 && x->dialect->parse;
    if (x->fit.pass && !drops)
        return 0;
    if (x->fit.pass && !tg_fit_parse(x))
        return leave_out(x, t, same, f);
    if (!x->dialect->parse)
        return no_such_task(x, f);
    int rc = parse_canonical(x, f);
    x->fit.chat = x->chat;
    return rc == 0 && drops ? leave_out(x, t, same, f) : rc;
}

/* What the client's headers ask for and this target's API has no header for. Vertex has them;
 * Bedrock, whose API for Claude is Anthropic's too, does not. */
static int lose_betas(struct tg_exchange *x, const struct tg_target *t, const struct tg_adapter *ad)
{
    struct tg_arena *a = tg_exchange_body_arena(x);
    enum tg_wire_format to = ad && t->kind != TG_BACKEND_BEDROCK ? ad->api : TG_WIRE_NONE;
    struct tg_losses *l = &x->fit.lost;
    struct tg_str betas = tg_headers_lost_betas(a, x->req->head, x->dialect->format, to);
    if (betas.n && l->left_out.n)
        l->left_out = tg_arena_printf(a, "%.*s,%.*s", TG_STR_ARG(l->left_out), TG_STR_ARG(betas));
    else if (betas.n)
        l->left_out = betas;
    return l->left_out.p || !betas.n ? 0 : TG_E_NOMEM;
}

int tg_fit_target(struct tg_exchange *x, const struct tg_target *t, struct tg_fail *f)
{
    const struct tg_adapter *ad = tg_runtime_adapter(x->rt, t, x->plan->name);
    const struct tg_backend_ops *ops = ops_of(x, t);
    bool strip = tg_opaque_is_foreign(x, t);
    bool same =
        ad && tg_wire_in(tg_quirks_formats(tg_target_quirks(t), ad->formats), x->dialect->format);
    x->fit = (struct tg_fit){
        .pass = same && !strip && !x->call.n_history && !x->call.n_known,
        .call = &x->call,
    };
    int rc = prepare(x, t, same, f);
    if (rc < 0 || x->fit.pass)
        return rc < 0 ? rc : check_strict(x, t, f);
    rc = check_task(x, ad ? ad->tasks : ops->tasks, f);
    if (rc == 0 && strip)
        rc = tg_opaque_strip(x, f);
    if (rc == 0)
        rc = lose_betas(x, t, ad);
    if (rc < 0)
        return rc;
    /* What goes back in its own format loses nothing, and what it was made of counts for nothing.
     */
    if (ad && x->fit.chat->wire == ad->api)
        return weigh(x, t, NULL, NULL, f);
    x->fit.lost.emulated |= x->fit.chat->emulated;
    return weigh(x, t, ad ? ad->fidelity : ops->fidelity, quirks_of(ad, t), f);
}

/* ---- saying so ---- */

/* What a client of this dialect calls what encoders call so; "" when it is the same. What of the
 * param stands behind the name goes to *out_rest. */
static struct tg_str client_name(const struct tg_exchange *x, struct tg_str param,
                                 struct tg_str *out_rest)
{
    static const struct tg_str schema = TG_STR_INIT("response_format.json_schema.schema");
    struct tg_client_fields client = client_of(x);
    const char *prompt = x->dialect->prompt_field ? x->dialect->prompt_field : "messages";
    struct tg_str head = param;
    *out_rest = TG_STR("");
    for (size_t i = 0; i < head.n; i++) {
        if (head.p[i] == '[' || head.p[i] == '.' || head.p[i] == ':')
            head.n = i;
    }
    if (tg_str_eq(head, TG_STR("messages")) || tg_str_eq(head, TG_STR("input")) ||
        tg_str_eq(head, TG_STR("prompt")))
        return tg_str_eq(head, tg_str_c(prompt)) ? TG_STR("") : tg_str_c(prompt);
    if (tg_str_starts(param, schema) && x->dialect->format != TG_WIRE_OPENAI_CHAT) {
        struct tg_str name = tg_client_field(&client, TG_FEATURE_JSON_SCHEMA);
        ptrdiff_t colon = tg_str_chr(name, ':');
        *out_rest = tg_str_from(param, schema.n);
        return colon < 0 ? name : tg_str_first(name, (size_t)colon);
    }
    for (int f = 0; f < TG_FEATURE_COUNT; f++) {
        if (client.names && client.names[f] &&
            tg_str_eq(param, tg_str_c(tg_feature_name((enum tg_feature)f))))
            return tg_client_field(&client, (enum tg_feature)f);
    }
    return TG_STR("");
}

void tg_fit_rename(const struct tg_exchange *x, struct tg_fail *f)
{
    char was[sizeof f->param];
    struct tg_str param = tg_str_make(was, tg_str_to_c(tg_str_c(f->param), was, sizeof was)), rest;
    struct tg_str name =
        param.n && f->source != TG_FAIL_PROVIDER ? client_name(x, param, &rest) : TG_STR("");
    if (!name.n || tg_str_eq(name, param))
        return;
    snprintf(f->param, sizeof f->param, "%.*s%.*s", TG_STR_ARG(name), TG_STR_ARG(rest));
    struct tg_str text = tg_str_c(f->message);
    ptrdiff_t at = tg_str_find(text, param);
    if (at < 0)
        return;
    struct tg_buf b;
    tg_buf_init(&b, 4096);
    tg_buf_str_add(&b, tg_str_first(text, (size_t)at));
    tg_buf_str_add(&b, tg_str_c(f->param));
    tg_buf_str_add(&b, tg_str_from(text, (size_t)at + param.n));
    if (tg_buf_ok(&b))
        tg_str_to_c(tg_buf_str(&b), f->message, sizeof f->message);
    tg_buf_fini(&b);
}

struct tg_str tg_fit_text(struct tg_exchange *x)
{
    struct tg_losses lost = x->fit.lost;
    struct tg_client_fields client = client_of(x);
    if (x->attempt)
        tg_attempt_fidelity(x->attempt, &lost.dropped, &lost.emulated);
    else if (x->fit.text.n)
        return x->fit.text;
    if (!tg_losses_any(&lost))
        return TG_STR("");
    if (x->fit.text.n && x->fit.text_of == (lost.dropped ^ lost.emulated << 1))
        return x->fit.text;
    struct tg_buf b;
    tg_buf_init(&b, 8192);
    tg_fidelity_write(&lost, &client, x->fit.chat, &b);
    x->fit.text = tg_buf_ok(&b) ? tg_arena_dup(&x->arena, tg_buf_str(&b)) : TG_STR("");
    x->fit.text_of = lost.dropped ^ lost.emulated << 1;
    tg_buf_fini(&b);
    return x->fit.text;
}
