/* A JSON Schema to a grammar: in bounded time and size, with a message when it is refused, and
 * never a grammar that its library would refuse for its form. The first byte says whether strictly.
 */
#include <string.h>

#include "base/utf8.h"
#include "engine/schema_priv.h"
#include "fuzz.h"

/* Rules that are named are there, brackets close, and repetitions are below the library's limit. */
static void check_text(const char *p)
{
    FUZZ_CHECK(strncmp(p, "root ::= ", 9) == 0);
    for (; *p; p++) {
        if (*p == '"' || *p == '[') {
            char end = *p == '"' ? '"' : ']';
            for (p++; *p != end; p++) {
                FUZZ_CHECK(*p && *p != '\n');
                p += *p == '\\';
            }
        } else if (*p == '{') {
            FUZZ_CHECK(strtoul(p + 1, NULL, 10) < 1000);
            const char *comma = strpbrk(p, ",}");
            FUZZ_CHECK(comma);
            FUZZ_CHECK(*comma == '}' || comma[1] == '}' || strtoul(comma + 1, NULL, 10) < 1000);
        } else if (*p == 'r' && p[1] >= '0' && p[1] <= '9') {
            p += strspn(p + 1, "0123456789");
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct tg_buf text, lost;
    struct tg_fail fail;
    uint32_t rule = 0;

    if (n == 0 || n > 1 << 14)
        return 0;
    struct tg_grammar *g = tg_grammar_new();
    FUZZ_CHECK(g);
    tg_fail_clear(&fail);
    tg_buf_init(&text, 1 << 20);
    tg_buf_init(&lost, 300);
    int rc = tg_schema_add(g, tg_str_make((const char *)data + 1, n - 1), TG_STR("s"), data[0] & 1,
                           &lost, &fail, &rule);
    if (rc == 0) {
        tg_grammar_ref(g, tg_grammar_alt(g, 0), rule);
        rc = tg_schema_print(g, TG_STR("s"), &text, &fail);
    }
    FUZZ_CHECK(rc <= 0 && fail.err == rc);
    FUZZ_CHECK((rc == 0) == (fail.message[0] == 0));
    FUZZ_CHECK(tg_utf8_valid(tg_str_c(fail.message)) && tg_utf8_valid(tg_str_c(fail.param)));
    FUZZ_CHECK(!(data[0] & 1) || lost.n == 0);
    FUZZ_CHECK(text.n <= TG_GRAMMAR_MAX_BYTES || rc < 0);
    tg_buf_char(&text, '\0');
    if (rc == 0)
        check_text(text.p);
    tg_buf_fini(&text);
    tg_buf_fini(&lost);
    tg_grammar_free(g);
    return 0;
}
