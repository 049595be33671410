/* How a request goes to a target: passed through or translated, and what is lost on the way. A
 * request that a target can't take is refused here, before anything is sent. */
#include "base/err.h"
#include "chat/fidelity.h"
#include "core/exchange_priv.h"

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
    x->fit.emulated |= TG_FEATURE_BIT(COUNTING);
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

static int refuse(const struct tg_exchange *x, const struct tg_target *t, uint64_t refused,
                  struct tg_fail *f)
{
    enum tg_feature feature = (enum tg_feature)__builtin_ctzll(refused);
    const char *name = tg_feature_name(feature);
    struct tg_str tool = feature == TG_FEATURE_TOOL_TYPES ? own_tool(x->chat) : TG_STR("");
    char quoted[64];
    return tg_fail_param(
        f, TG_E_UNSUPPORTED_PARAMETER, name,
        "'%s'%s%s can't be translated for this model's provider (%s)", name, tool.n ? " " : "",
        tool.n ? tg_fail_quote(tool, quoted, sizeof quoted) : "", tg_backend_kind_name(t->kind));
}

/* Quirks say what a provider's chat completions lack, not what its Responses do. */
static const struct tg_quirks *quirks_of(const struct tg_adapter *ad, const struct tg_target *t)
{
    return ad && ad->api == TG_WIRE_OPENAI_RESPONSES ? NULL : tg_target_quirks(t);
}

/* What the provider's row says of the features that the request uses. */
static int weigh(struct tg_exchange *x, const struct tg_target *t, const uint8_t *row,
                 const struct tg_quirks *q, struct tg_fail *f)
{
    uint64_t used = x->ask.features & ~TG_FEATURE_BIT(COUNTING);
    if (row) {
        uint64_t refused = tg_quirks_with(used, row, q, TG_REFUSED);
        if (refused)
            return refuse(x, t, refused, f);
        x->fit.dropped |= tg_quirks_with(used, row, q, TG_DROPPED);
        x->fit.emulated |= tg_quirks_with(used, row, q, TG_EMULATED);
    }
    if (x->ask.strict || t->provider.strict)
        return tg_fidelity_strict(x->fit.dropped, x->fit.emulated, x->chat, f);
    return 0;
}

int tg_fit_target(struct tg_exchange *x, const struct tg_target *t, struct tg_fail *f)
{
    const struct tg_adapter *ad = tg_runtime_adapter(x->rt, t, x->plan->name);
    const struct tg_backend_ops *ops = ops_of(x, t);
    bool strip = tg_opaque_is_foreign(x, t);
    x->fit = (struct tg_fit){
        .pass = ad && !strip && !x->call.n_history && !x->call.n_known &&
                tg_wire_in(tg_quirks_formats(tg_target_quirks(t), ad->formats), x->dialect->format),
    };
    if (x->fit.pass)
        return 0;
    if (!x->dialect->parse)
        return no_such_task(x, f);
    int rc = parse_canonical(x, f);
    if (rc == 0)
        rc = check_task(x, ad ? ad->tasks : ops->tasks, f);
    x->fit.chat = x->chat;
    if (rc == 0 && strip)
        rc = tg_opaque_strip(x, f);
    if (rc < 0)
        return rc;
    /* What goes back in its own format loses nothing, and what it was made of counts for nothing.
     */
    if (ad && x->chat->wire == ad->api)
        return weigh(x, t, NULL, NULL, f);
    x->fit.emulated |= x->chat->emulated;
    return weigh(x, t, ad ? ad->fidelity : ops->fidelity, quirks_of(ad, t), f);
}

struct tg_str tg_fit_text(struct tg_exchange *x)
{
    uint64_t dropped = x->fit.dropped, emulated = x->fit.emulated;
    if (x->attempt)
        tg_attempt_fidelity(x->attempt, &dropped, &emulated);
    else if (x->fit.text.n)
        return x->fit.text;
    if (!dropped && !emulated)
        return TG_STR("");
    if (x->fit.text.n && x->fit.text_of == (dropped ^ emulated << 1))
        return x->fit.text;
    struct tg_buf b;
    tg_buf_init(&b, 8192);
    tg_fidelity_write(dropped, emulated, x->fit.chat, &b);
    x->fit.text = tg_buf_ok(&b) ? tg_arena_dup(&x->arena, tg_buf_str(&b)) : TG_STR("");
    x->fit.text_of = dropped ^ emulated << 1;
    tg_buf_fini(&b);
    return x->fit.text;
}
