/* LogprobsResult {chosenCandidates:[{token,logProbability}],topCandidates:[{candidates:[…]}]} as
 * OpenAI chat's {"content":[{"token","logprob","bytes","top_logprobs":[…]}],"refusal":null}. */
#include "adapter/decode_priv.h"
#include "adapter/gemini_priv.h"

static void token(const struct tg_json *v, struct tg_buf *out)
{
    tg_decode_token(tg_json_get_str(v, TG_STR("token")),
                    tg_json_num(tg_json_get(v, TG_STR("logProbability"))), out);
}

void tg_gemini_logprobs(const struct tg_json *result, struct tg_buf *out)
{
    struct tg_json_iter it = tg_json_iter(tg_json_get(result, TG_STR("chosenCandidates")));
    struct tg_json_iter tops = tg_json_iter(tg_json_get(result, TG_STR("topCandidates")));
    tg_buf_lit(out, "{\"content\":[");
    while (tg_json_next(&it)) {
        if (it.index)
            tg_buf_char(out, ',');
        token(it.value, out);
        tg_buf_lit(out, ",\"top_logprobs\":[");
        const struct tg_json *top =
            tg_json_next(&tops) ? tg_json_get(tops.value, TG_STR("candidates")) : NULL;
        struct tg_json_iter k = tg_json_iter(top);
        while (tg_json_next(&k)) {
            if (k.index)
                tg_buf_char(out, ',');
            token(k.value, out);
            tg_buf_char(out, '}');
        }
        tg_buf_lit(out, "]}");
    }
    tg_buf_lit(out, "],\"refusal\":null}");
}
