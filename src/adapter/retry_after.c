#include "adapter/adapter.h"
#include "base/clock.h"
#include "base/num.h"

enum { MAX_MS = 3600 * 1000 };

static int64_t bounded(int64_t ms)
{
    if (ms < 0)
        return 0;
    return ms < MAX_MS ? ms : MAX_MS;
}

/* The provider's own clock is the one its Retry-After date is meant by. */
static int64_t date_of(const struct tg_http_head *head)
{
    struct tg_str date = tg_http_head_get(head, TG_STR("date"));
    int64_t us;
    return date.n && tg_clock_parse_http_date(date.p, date.n, &us) == 0 ? us : 0;
}

int64_t tg_adapter_retry_after_ms(const struct tg_http_head *head)
{
    struct tg_str text = tg_http_head_get(head, TG_STR("retry-after-ms"));
    double number;
    /* OpenAI and Azure send the finer value beside the standard one. */
    if (text.n && tg_parse_double(text, &number) == 0 && number >= 0)
        return bounded(number < (double)MAX_MS ? (int64_t)number : MAX_MS);
    text = tg_http_head_get(head, TG_STR("retry-after"));
    if (!text.n)
        return -1;
    if (tg_parse_double(text, &number) == 0)
        return number < 0 ? -1
                          : bounded(number < (double)MAX_MS ? (int64_t)(number * 1000) : MAX_MS);
    int64_t when_us, now_us = date_of(head);
    if (now_us <= 0 || tg_clock_parse_http_date(text.p, text.n, &when_us))
        return -1;
    return bounded((when_us - now_us) / 1000);
}
