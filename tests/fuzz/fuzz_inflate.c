/* Compressed bodies: the same bytes and the same verdict however the input is cut and whatever
 * space there is for the output, and never more than the limit. */
#include "base/err.h"
#include "fuzz.h"
#include "wire/inflate.h"

static uint64_t unpack(struct tg_str text, enum tg_coding coding, size_t piece, size_t n_space,
                       uint64_t max, int *out_verdict)
{
    struct fuzz_cutter cutter = {text, piece};
    struct tg_inflate *d;
    struct tg_str in, out;
    char space[512];
    uint64_t h = 0, total = 0;
    int rc = tg_inflate_new(coding, max, &d);
    FUZZ_CHECK(rc == 0);
    while (rc == 0 && fuzz_cut(&cutter, &in)) {
        while ((rc = tg_inflate_next(d, &in, space, n_space, &out)) > 0) {
            FUZZ_CHECK(out.n > 0 && out.n <= n_space);
            total += out.n;
            h = fuzz_mix(h, out.p, out.n);
        }
        FUZZ_CHECK(rc < 0 || in.n == 0);
    }
    FUZZ_CHECK(total <= max);
    FUZZ_CHECK(rc == 0 || !tg_inflate_whole(d));
    *out_verdict = rc ? rc : tg_inflate_whole(d);
    tg_inflate_free(d);
    return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2)
        return 0;
    struct tg_str text = {(const char *)data + 2, n - 2};
    enum tg_coding coding = data[1] & 1 ? TG_CODING_GZIP : TG_CODING_DEFLATE;
    int whole, cut;
    /* What came before an error may differ by how far each run had got: only good ones compare. */
    uint64_t h = unpack(text, coding, 0, 512, 1 << 16, &whole);
    uint64_t g = unpack(text, coding, data[0], 1 + data[1] / 2, 1 << 16, &cut);
    FUZZ_CHECK(whole == cut || (whole < 0 && cut < 0));
    FUZZ_CHECK(whole < 0 || g == h);
    return 0;
}
