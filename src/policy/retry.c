#include "policy/retry.h"

#include "base/err.h"

enum { ATTEMPT = 100, BUDGET_MAX = 100 * ATTEMPT, BUDGET_START = 10 * ATTEMPT };

uint32_t tg_retry_backoff_ms(const struct tg_retry_settings *s, uint32_t attempts_here,
                             uint64_t random)
{
    uint64_t d = s->base_delay_ms;
    for (uint32_t i = 1; i < attempts_here && d < s->max_delay_ms; i++)
        d *= 2;
    if (d > s->max_delay_ms)
        d = s->max_delay_ms;
    uint64_t half = d / 2;
    return (uint32_t)(half + random % (d - half + 1));
}

/* May the same target be asked again? Not where the answer would be the same (credential,
 * certificate, nonsense), and not where it may be at work on the request already: a request that
 * left whole could be charged twice. */
static bool same_may_help(const struct tg_retry_input *in)
{
    switch (in->err) {
    case TG_E_UPSTREAM_CONNECT:
    case TG_E_UPSTREAM_DNS:
    case TG_E_UPSTREAM_RATE_LIMIT:
    case TG_E_UPSTREAM_ERROR:
    case TG_E_UPSTREAM_OVERLOADED:
    case TG_E_LOCAL_UNAVAILABLE:
        return true;
    case TG_E_UPSTREAM_TIMEOUT:
    case TG_E_UPSTREAM_INCOMPLETE:
    case TG_E_IO:
        return !in->request_sent;
    default:
        return false;
    }
}

static struct tg_retry_decision decision(enum tg_retry_action action, uint32_t delay_ms,
                                         const char *why)
{
    return (struct tg_retry_decision){action, delay_ms, why};
}

static struct tg_retry_decision decide_same(const struct tg_retry_settings *s,
                                            const struct tg_retry_input *in)
{
    if (in->retry_after_ms > (int64_t)s->max_retry_after_ms)
        return decision(TG_RETRY_GIVE_UP, 0, "retry_after");
    uint32_t delay = tg_retry_backoff_ms(s, in->attempts_here, in->random);
    if (in->retry_after_ms > (int64_t)delay)
        delay = (uint32_t)in->retry_after_ms;
    if ((int64_t)delay >= in->time_left_ms)
        return decision(TG_RETRY_GIVE_UP, 0, "deadline");
    return decision(TG_RETRY_SAME, delay, "same");
}

struct tg_retry_decision tg_retry_decide(const struct tg_retry_settings *s,
                                         const struct tg_retry_input *in)
{
    if (in->content_sent)
        return decision(TG_RETRY_GIVE_UP, 0, "content_sent");
    if (!tg_err_info(in->err)->retryable)
        return decision(TG_RETRY_GIVE_UP, 0, "not_retryable");
    if (in->attempts_done >= s->max_attempts)
        return decision(TG_RETRY_GIVE_UP, 0, "attempts");
    if (in->time_left_ms <= 0)
        return decision(TG_RETRY_GIVE_UP, 0, "deadline");
    if (in->targets_left)
        return decision(TG_RETRY_NEXT, 0, "next");
    if (!same_may_help(in))
        return decision(TG_RETRY_GIVE_UP, 0, "no_target");
    return decide_same(s, in);
}

void tg_retry_budget_init(struct tg_retry_budget *b)
{
    b->hundredths = BUDGET_START;
}

void tg_retry_budget_on_request(struct tg_retry_budget *b, const struct tg_retry_settings *s)
{
    if (s->budget_percent == 0)
        b->hundredths = 0;
    else if (b->hundredths + s->budget_percent < BUDGET_MAX)
        b->hundredths += s->budget_percent;
    else
        b->hundredths = BUDGET_MAX;
}

bool tg_retry_budget_take(struct tg_retry_budget *b)
{
    if (b->hundredths < ATTEMPT)
        return false;
    b->hundredths -= ATTEMPT;
    return true;
}
