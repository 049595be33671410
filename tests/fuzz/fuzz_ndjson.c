/* The line splitter: the same lines however the bytes are cut, which together are the input, and a
 * limit that ends both ways of cutting at the same line. */
#include "base/err.h"
#include "fuzz.h"
#include "wire/ndjson.h"

static uint64_t split(struct tg_str text, size_t piece, size_t max, int *out_err)
{
    struct fuzz_cutter cutter = {text, piece};
    struct tg_ndjson_dec d;
    struct tg_ndjson_line line;
    struct tg_str in;
    size_t raw_bytes = 0;
    uint64_t h = 0;
    int rc = 0;

    tg_ndjson_dec_init(&d, max);
    while (rc == 0 && fuzz_cut(&cutter, &in)) {
        while ((rc = tg_ndjson_next(&d, &in, &line)) > 0) {
            FUZZ_CHECK(line.raw.n > 0 && line.raw.n <= max + 1);
            FUZZ_CHECK(line.raw.p[line.raw.n - 1] == '\n');
            FUZZ_CHECK(memcmp(text.p + raw_bytes, line.raw.p, line.raw.n) == 0);
            raw_bytes += line.raw.n;
            h = fuzz_mix_str(h, line.text);
        }
        FUZZ_CHECK(rc < 0 || in.n == 0);
    }
    *out_err = rc;
    rc = tg_ndjson_end(&d, &line);
    if (rc > 0) {
        raw_bytes += line.raw.n;
        h = fuzz_mix_str(h, line.text);
    }
    FUZZ_CHECK(rc < 0 ? rc == *out_err : raw_bytes == text.n);
    tg_ndjson_dec_fini(&d);
    return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    struct tg_str text = {(const char *)data + 1, n - 1};
    static const size_t limits[] = {1 << 20, 10, 0};
    for (size_t i = 0; i < TG_ARRAY_LEN(limits); i++) {
        int whole_err, cut_err;
        uint64_t whole = split(text, 0, limits[i], &whole_err);
        FUZZ_CHECK(split(text, data[0], limits[i], &cut_err) == whole);
        FUZZ_CHECK(whole_err == cut_err);
    }
    return 0;
}
