/* The SSE decoder: the same events however the bytes are cut, and the raw bytes of all blocks with
 * what is pending are exactly the input. What the encoder writes, the decoder reads back. */
#include "base/buf.h"
#include "fuzz.h"
#include "wire/sse.h"

struct outcome {
    uint64_t digest; /* of the events with data */
    size_t raw_bytes;
    int err;
};

static struct outcome decode(struct tg_str text, size_t piece)
{
    struct outcome o = {.digest = 14695981039346656037U};
    struct fuzz_cutter cutter = {text, piece};
    struct tg_sse_dec decoder;
    struct tg_str in;

    tg_sse_dec_init(&decoder, 1 << 16);
    while (o.err == 0 && fuzz_cut(&cutter, &in)) {
        struct tg_sse_event ev;

        while ((o.err = tg_sse_next(&decoder, &in, &ev)) > 0) {
            FUZZ_CHECK(o.raw_bytes + ev.raw.n <= text.n);
            FUZZ_CHECK(memcmp(text.p + o.raw_bytes, ev.raw.p, ev.raw.n) == 0);
            o.raw_bytes += ev.raw.n;
            if (!ev.has_data)
                continue;
            o.digest = fuzz_mix_str(o.digest, ev.type);
            o.digest = fuzz_mix_str(o.digest, ev.data);
            o.digest = fuzz_mix_str(o.digest, ev.id);
        }
    }
    if (o.err == 0)
        FUZZ_CHECK(o.raw_bytes + tg_sse_pending(&decoder) == text.n);
    tg_sse_dec_fini(&decoder);
    return o;
}

static void check_round_trip(struct tg_str text)
{
    struct tg_sse_dec decoder;
    struct tg_sse_event ev;
    struct tg_buf wire;

    tg_buf_init(&wire, 1 << 20);
    FUZZ_CHECK(tg_sse_write(&wire, TG_STR("message_delta"), text) >= 0);
    tg_sse_dec_init(&decoder, 1 << 20);
    struct tg_str in = tg_buf_str(&wire);
    FUZZ_CHECK(tg_sse_next(&decoder, &in, &ev) == 1);
    FUZZ_CHECK(ev.has_data && in.n == 0 && tg_str_eq(ev.type, TG_STR("message_delta")));
    tg_sse_dec_fini(&decoder);
    tg_buf_fini(&wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2 || n > 1 << 15)
        return 0;
    struct tg_str text = {(const char *)data + 1, n - 1};
    struct outcome whole = decode(text, 0), cut = decode(text, (size_t)data[0] + 1);

    FUZZ_CHECK(whole.err == cut.err);
    if (whole.err == 0)
        FUZZ_CHECK(whole.digest == cut.digest);
    check_round_trip(text);
    return 0;
}
