/* Splicing a chat request that is passed on: the result is valid, has the new model and the wish
 * for usage, and every other member byte for byte. The first byte says whether usage is injected
 * and which model is put in. */
#include "base/arena.h"
#include "base/buf.h"
#include "dialect/dialect.h"
#include "fuzz.h"
#include "json/json.h"

static void join(const struct iovec *iov, int n, struct tg_buf *out)
{
    for (int i = 0; i < n; i++)
        tg_buf_add(out, iov[i].iov_base, iov[i].iov_len);
    FUZZ_CHECK(tg_buf_ok(out));
}

static void check_others(struct tg_json_doc *old, struct tg_json_doc *new)
{
    struct tg_json_iter it = tg_json_iter(tg_json_root(old));

    while (tg_json_next(&it)) {
        const struct tg_json *other = tg_json_get(tg_json_root(new), it.name);

        if (tg_str_eq(it.name, TG_STR("model")) || tg_str_eq(it.name, TG_STR("stream_options")))
            continue;
        FUZZ_CHECK(other && tg_str_eq(tg_json_raw(old, it.value), tg_json_raw(new, other)));
    }
}

static void check_splice(struct tg_arena *a, struct tg_str text, const struct tg_call *call,
                         bool inject, struct tg_str model)
{
    struct iovec iov[16];
    struct tg_json_doc *old, *new;
    struct tg_call again = {0};
    struct tg_buf out;
    int n;
    bool hide;

    FUZZ_CHECK(call->dialect->splice(a, call, model, inject, iov, 16, &n, &hide) == 0);
    tg_buf_init(&out, 1 << 20);
    join(iov, n, &out);
    FUZZ_CHECK(tg_json_parse(a, text, NULL, &old, NULL) == 0);
    FUZZ_CHECK(tg_json_parse(a, tg_buf_str(&out), NULL, &new, NULL) == 0);
    check_others(old, new);
    FUZZ_CHECK(call->dialect->open(a, NULL, tg_buf_str(&out), &again, NULL) == 0);
    FUZZ_CHECK(tg_str_eq(again.model, model) && again.stream == call->stream);
    FUZZ_CHECK(hide == (inject && call->stream && !call->include_usage));
    FUZZ_CHECK(again.include_usage == (call->include_usage || hide));
    tg_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct tg_str models[] = {TG_STR_INIT("m"), TG_STR_INIT("a/\"b\"\n\xc3\xa4"),
                                           TG_STR_INIT("gpt-4o-mini")};
    struct tg_call call = {0};
    struct tg_arena arena;
    struct tg_fail fail;

    if (n == 0 || n > 1 << 15)
        return 0;
    struct tg_str text = {(const char *)data + 1, n - 1};
    const struct tg_dialect *d =
        data[0] & 2 ? &tg_dialect_openai_completions : &tg_dialect_openai_chat;
    tg_fail_clear(&fail);
    tg_arena_init(&arena, 4096, 16 << 20);
    if (d->open(&arena, NULL, text, &call, &fail) == 0)
        check_splice(&arena, text, &call, data[0] & 1, models[(data[0] >> 2) % 3]);
    else
        FUZZ_CHECK(fail.err && fail.message[0]);
    tg_arena_fini(&arena);
    return 0;
}
