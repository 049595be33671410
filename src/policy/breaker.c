#include "policy/breaker.h"

#include <string.h>

enum { GIVE_UP_PROBE_WAITS = 10 };

const char *tg_breaker_state_name(enum tg_breaker_state s)
{
    switch (s) {
    case TG_BREAKER_CLOSED:
        return "closed";
    case TG_BREAKER_OPEN:
        return "open";
    case TG_BREAKER_HALF_OPEN:
        return "half_open";
    }
    return "unknown";
}

void tg_breaker_init(struct tg_breaker *b)
{
    memset(b, 0, sizeof(*b));
}

static void change(struct tg_breaker *b, enum tg_breaker_state to, uint64_t now_ms)
{
    b->state = to;
    b->changed_ms = now_ms;
    b->consecutive = 0;
    b->probing = false;
    memset(b->ok, 0, sizeof(b->ok));
    memset(b->failed, 0, sizeof(b->failed));
    b->opened_total += to == TG_BREAKER_OPEN;
}

static bool probe_is_due(const struct tg_breaker *b, const struct tg_breaker_settings *s,
                         uint64_t now_ms)
{
    if (b->state == TG_BREAKER_OPEN)
        return now_ms - b->changed_ms >= s->probe_after_ms;
    uint64_t patience = (uint64_t)s->probe_after_ms * GIVE_UP_PROBE_WAITS;
    return !b->probing || now_ms - b->probe_ms >= patience;
}

bool tg_breaker_would_admit(const struct tg_breaker *b, const struct tg_breaker_settings *s,
                            uint64_t now_ms)
{
    return b->state == TG_BREAKER_CLOSED || probe_is_due(b, s, now_ms);
}

bool tg_breaker_admit(struct tg_breaker *b, const struct tg_breaker_settings *s, uint64_t now_ms)
{
    if (b->state == TG_BREAKER_CLOSED)
        return true;
    if (!probe_is_due(b, s, now_ms))
        return false;
    if (b->state == TG_BREAKER_OPEN)
        change(b, TG_BREAKER_HALF_OPEN, now_ms);
    b->probing = true;
    b->probe_ms = now_ms;
    return true;
}

/* Makes the newest bucket the one of `now`, and forgets those that left the window. */
static void advance(struct tg_breaker *b, const struct tg_breaker_settings *s, uint64_t now_ms)
{
    uint64_t bucket_ms = s->window_ms / TG_BREAKER_BUCKETS;
    uint64_t no = now_ms / (bucket_ms ? bucket_ms : 1);
    /* Smaller than before: a reload made the buckets longer. */
    uint64_t steps = no < b->bucket_no ? TG_BREAKER_BUCKETS : no - b->bucket_no;
    for (uint64_t i = 0; i < steps && i < TG_BREAKER_BUCKETS; i++)
        b->ok[(no - i) % TG_BREAKER_BUCKETS] = b->failed[(no - i) % TG_BREAKER_BUCKETS] = 0;
    b->bucket_no = no;
}

static bool too_many_failures(const struct tg_breaker *b, const struct tg_breaker_settings *s)
{
    uint64_t ok = 0, failed = 0;
    for (int i = 0; i < TG_BREAKER_BUCKETS; i++) {
        ok += b->ok[i];
        failed += b->failed[i];
    }
    return b->consecutive >= s->consecutive_failures ||
           (ok + failed >= s->min_requests && failed * 100 >= (ok + failed) * s->failure_percent);
}

static bool on_closed(struct tg_breaker *b, const struct tg_breaker_settings *s, bool failed,
                      uint64_t now_ms)
{
    advance(b, s, now_ms);
    uint32_t *slot = failed ? b->failed : b->ok;
    slot[b->bucket_no % TG_BREAKER_BUCKETS]++;
    b->consecutive = failed ? b->consecutive + 1 : 0;
    if (!failed || !too_many_failures(b, s))
        return false;
    change(b, TG_BREAKER_OPEN, now_ms);
    return true;
}

static bool on_half_open(struct tg_breaker *b, const struct tg_breaker_settings *s, bool failed,
                         uint64_t now_ms)
{
    if (!b->probing)
        return false; /* an attempt from before the breaker opened, come in late */
    b->probing = false;
    if (failed) {
        change(b, TG_BREAKER_OPEN, now_ms);
        return true;
    }
    if (++b->consecutive < s->close_successes)
        return false;
    change(b, TG_BREAKER_CLOSED, now_ms);
    return true;
}

bool tg_breaker_on_result(struct tg_breaker *b, const struct tg_breaker_settings *s, bool failed,
                          uint64_t now_ms)
{
    if (b->state == TG_BREAKER_CLOSED)
        return on_closed(b, s, failed, now_ms);
    if (b->state == TG_BREAKER_HALF_OPEN)
        return on_half_open(b, s, failed, now_ms);
    return false;
}

void tg_breaker_on_abandoned(struct tg_breaker *b)
{
    b->probing = false;
}

uint64_t tg_breaker_wait_ms(const struct tg_breaker *b, const struct tg_breaker_settings *s,
                            uint64_t now_ms)
{
    if (tg_breaker_would_admit(b, s, now_ms))
        return 0;
    if (b->state == TG_BREAKER_HALF_OPEN)
        return s->probe_after_ms;
    return b->changed_ms + s->probe_after_ms - now_ms;
}
