/* The SSE decoder: the same events as a plain reference however the bytes are cut, and the raw
 * bytes of all blocks with what is pending are exactly the input. What the encoder writes, the
 * decoder reads back. The first byte says how the rest is cut. */
#include "../unit/wire/sse_reference.h"
#include "base/err.h"
#include "fuzz.h"
#include "wire/sse.h"

enum { MAX_INPUT_BYTES = 1 << 15, LOG_BYTES = 1 << 20 };

static void as_it_is(struct tg_buf *b, struct tg_str s)
{
    tg_buf_str_add(b, s);
}

/* The events with data go to *log; returns the decoder's error, 0 if none. */
static int decode(struct tg_str text, size_t piece, size_t max_bytes, struct tg_buf *log)
{
    struct fuzz_cutter cutter = {text, piece};
    struct tg_sse_dec decoder;
    struct tg_str in;
    size_t raw_bytes = 0;
    int rc = 0;

    tg_sse_dec_init(&decoder, max_bytes);
    while (rc == 0 && fuzz_cut(&cutter, &in)) {
        struct tg_sse_event ev;

        while ((rc = tg_sse_next(&decoder, &in, &ev)) > 0) {
            FUZZ_CHECK(ev.raw.n > 0 && ev.raw.n <= max_bytes + 1);
            FUZZ_CHECK(raw_bytes + ev.raw.n <= text.n);
            FUZZ_CHECK(memcmp(text.p + raw_bytes, ev.raw.p, ev.raw.n) == 0);
            raw_bytes += ev.raw.n;
            if (ev.has_data)
                sse_log_event(log, as_it_is, ev.type, ev.id, ev.data);
        }
        FUZZ_CHECK(rc < 0 || in.n == 0);
    }
    if (rc == 0)
        FUZZ_CHECK(raw_bytes + tg_sse_pending(&decoder) == text.n);
    tg_sse_dec_fini(&decoder);
    return rc;
}

static void check_decoder(struct tg_str text, size_t piece)
{
    struct tg_buf whole, cut, want;

    tg_buf_init(&whole, LOG_BYTES);
    tg_buf_init(&cut, LOG_BYTES);
    tg_buf_init(&want, LOG_BYTES);
    FUZZ_CHECK(decode(text, 0, MAX_INPUT_BYTES, &whole) == 0);
    FUZZ_CHECK(decode(text, piece, MAX_INPUT_BYTES, &cut) == 0);
    sse_reference_log(text, as_it_is, &want);
    FUZZ_CHECK(tg_str_eq(tg_buf_str(&whole), tg_buf_str(&want)));
    FUZZ_CHECK(tg_str_eq(tg_buf_str(&cut), tg_buf_str(&want)));
    /* A limit ends both at the same event. */
    tg_buf_clear(&whole);
    tg_buf_clear(&cut);
    int err = decode(text, 0, 40, &whole);
    FUZZ_CHECK(err == 0 || err == TG_E_UPSTREAM_TOO_LARGE);
    FUZZ_CHECK(decode(text, piece, 40, &cut) == err);
    FUZZ_CHECK(tg_str_eq(tg_buf_str(&whole), tg_buf_str(&cut)));
    tg_buf_fini(&whole);
    tg_buf_fini(&cut);
    tg_buf_fini(&want);
}

/* The text as data of an event, with line ends and NUL as the encoder changes them. */
static void check_round_trip(struct tg_str text)
{
    struct tg_sse_dec decoder;
    struct tg_sse_event ev;
    struct tg_buf wire, want;

    tg_buf_init(&wire, LOG_BYTES);
    tg_buf_init(&want, LOG_BYTES);
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '\r' && i + 1 < text.n && text.p[i + 1] == '\n')
            continue;
        if (c == '\0')
            tg_buf_lit(&want, "\xef\xbf\xbd");
        else
            tg_buf_char(&want, c == '\r' ? '\n' : c);
    }
    FUZZ_CHECK(tg_sse_write(&wire, TG_STR("message_delta"), text) == 0);
    FUZZ_CHECK(!memchr(wire.p, '\r', wire.n) && !memchr(wire.p, '\0', wire.n));
    tg_sse_dec_init(&decoder, LOG_BYTES);
    struct tg_str in = tg_buf_str(&wire);
    FUZZ_CHECK(tg_sse_next(&decoder, &in, &ev) == 1);
    FUZZ_CHECK(ev.has_data && in.n == 0 && tg_str_eq(ev.type, TG_STR("message_delta")));
    FUZZ_CHECK(tg_str_eq(ev.data, tg_buf_str(&want)));
    tg_sse_dec_fini(&decoder);
    tg_buf_fini(&wire);
    tg_buf_fini(&want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2 || n > MAX_INPUT_BYTES)
        return 0;
    struct tg_str text = {(const char *)data + 1, n - 1};

    check_decoder(text, (size_t)data[0] + 1);
    check_round_trip(text);
    return 0;
}
