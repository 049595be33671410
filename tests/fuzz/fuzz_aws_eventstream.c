/* AWS event streams: the same frames however the bytes are cut, their raw bytes and what is pending
 * are the input, and what was read, written again, is the same frame. As chance makes no checksums,
 * the input is also taken as headers and payload of a frame whose checksums are right. */
#include "base/err.h"
#include "fuzz.h"
#include "wire/aws_eventstream.h"

enum { MAX_INPUT_BYTES = 1 << 14, MAX_HEADERS = 64 };

/* Hash over the frames; *out_err is how it ended. */
static uint64_t decode(struct tg_str text, size_t piece, size_t max, int *out_err)
{
    struct fuzz_cutter cutter = {text, piece};
    struct tg_aws_dec d;
    struct tg_str in;
    size_t raw_bytes = 0;
    uint64_t h = 0;
    int rc = 0;

    tg_aws_dec_init(&d, max);
    while (rc == 0 && fuzz_cut(&cutter, &in)) {
        struct tg_aws_frame f;

        while ((rc = tg_aws_next(&d, &in, &f)) > 0) {
            FUZZ_CHECK(f.raw.n >= TG_AWS_FRAME_MIN_BYTES && f.raw.n <= max);
            FUZZ_CHECK(f.raw.n == f.headers.n + f.payload.n + TG_AWS_FRAME_MIN_BYTES);
            FUZZ_CHECK(memcmp(text.p + raw_bytes, f.raw.p, f.raw.n) == 0);
            raw_bytes += f.raw.n;
            h = fuzz_mix_str(h, f.raw);
        }
        FUZZ_CHECK(rc < 0 || in.n == 0);
    }
    if (rc == 0)
        FUZZ_CHECK(raw_bytes + tg_aws_pending(&d) == text.n);
    tg_aws_dec_fini(&d);
    *out_err = rc;
    return h;
}

/* Reads headers out of the bytes as if a frame held them, writes a frame and reads it back. */
static void round_trip(struct tg_str text)
{
    struct tg_aws_header headers[MAX_HEADERS];
    struct tg_str rest = text;
    struct tg_aws_frame f;
    struct tg_aws_dec d;
    struct tg_buf wire;
    size_t n = 0;

    while (n < MAX_HEADERS && tg_aws_header_next(&rest, &headers[n]))
        n++;
    tg_buf_init(&wire, 1 << 16);
    FUZZ_CHECK(tg_aws_write(&wire, headers, n, rest) == 0);
    tg_aws_dec_init(&d, 1 << 16);
    struct tg_str in = tg_buf_str(&wire);
    FUZZ_CHECK(tg_aws_next(&d, &in, &f) == 1 && in.n == 0);
    FUZZ_CHECK(tg_str_eq(f.headers, tg_str_first(text, text.n - rest.n)));
    FUZZ_CHECK(tg_str_eq(f.payload, rest));
    tg_aws_dec_fini(&d);
    tg_buf_fini(&wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0 || n > MAX_INPUT_BYTES)
        return 0;
    struct tg_str text = {(const char *)data + 1, n - 1};
    int whole_err, cut_err;
    uint64_t whole = decode(text, 0, 1000, &whole_err);
    FUZZ_CHECK(decode(text, data[0], 1000, &cut_err) == whole);
    FUZZ_CHECK(whole_err == cut_err);
    round_trip(text);
    return 0;
}
