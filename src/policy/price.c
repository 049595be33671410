#include "policy/price.h"

#define MTOK 1000000

/* n tokens at a price per million, in 128 bits: 2^63 tokens at any price fit. */
static __int128 part(int64_t n, int64_t nusd_per_mtok)
{
    return n > 0 ? (__int128)n * nusd_per_mtok : 0;
}

int64_t tg_price_of(const struct tg_price *p, const struct tg_usage *u)
{
    int64_t prompt = tg_usage_prompt(u), completion = tg_usage_completion(u);
    if (u->source == TG_USAGE_ABSENT || (prompt > 0 && p->input_nusd_per_mtok < 0) ||
        (completion > 0 && p->output_nusd_per_mtok < 0) ||
        (p->input_nusd_per_mtok < 0 && p->output_nusd_per_mtok < 0))
        return -1;
    __int128 sum = part(prompt, p->input_nusd_per_mtok) + part(completion, p->output_nusd_per_mtok);
    sum = (sum + MTOK - 1) / MTOK;
    return sum > INT64_MAX ? INT64_MAX : (int64_t)sum;
}
