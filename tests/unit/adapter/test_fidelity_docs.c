/* The fidelity table of docs/fidelity.md is made from the adapters' rows; TG_UPDATE_DOCS=1 writes
 * it anew. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "adapter/adapter.h"
#include "base/alloc.h"
#include "chat/fidelity.h"

#define BEGIN "<!-- fidelity: TG_UPDATE_DOCS=1 with the test adapter/fidelity_docs -->\n"
#define END   "<!-- end of fidelity -->\n"

static const struct {
    const char *name;
    const struct tg_adapter *adapter;
} columns[] = {
    {"openai (chat)", &tg_adapter_openai}, {"openai (responses)", &tg_adapter_openai_responses},
    {"anthropic", &tg_adapter_anthropic},  {"gemini, vertex", &tg_adapter_gemini},
    {"bedrock", &tg_adapter_bedrock},      {"cohere", &tg_adapter_cohere},
    {"ollama", &tg_adapter_ollama},        {"huggingface (native)", &tg_adapter_huggingface},
};

static void write_table(struct tg_buf *b)
{
    tg_buf_lit(b, "| field | what it is |");
    for (size_t i = 0; i < TG_ARRAY_LEN(columns); i++)
        tg_buf_printf(b, " %s |", columns[i].name);
    tg_buf_lit(b, "\n|---|---|");
    for (size_t i = 0; i < TG_ARRAY_LEN(columns); i++)
        tg_buf_lit(b, "---|");
    tg_buf_char(b, '\n');
    for (int f = 0; f < TG_FEATURE_COUNT; f++) {
        tg_buf_printf(b, "| `%s` | %s |", tg_feature_name((enum tg_feature)f),
                      tg_feature_what((enum tg_feature)f));
        for (size_t i = 0; i < TG_ARRAY_LEN(columns); i++) {
            enum tg_fidelity fate = columns[i].adapter->fidelity[f];
            tg_buf_printf(b, " %s |", fate == TG_FIDELITY_UNSET ? "" : tg_fidelity_name(fate));
        }
        tg_buf_char(b, '\n');
    }
}

static struct tg_str read_page(const char *path)
{
    struct stat st;
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    char *p = tg_xcalloc(1, (size_t)st.st_size + 1);
    size_t n = fread(p, 1, (size_t)st.st_size, f);
    fclose(f);
    return tg_str_make(p, n);
}

static void the_page_says_what_the_rows_say(void **state)
{
    char path[2048];
    const char *root = getenv("TG_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/docs/fidelity.md", root ? root : ".");
    struct tg_str page = read_page(path);
    ptrdiff_t begin = tg_str_find(page, TG_STR(BEGIN)), end = tg_str_find(page, TG_STR(END));
    assert_true(begin >= 0 && end > begin);
    struct tg_buf want;
    tg_buf_init(&want, 1 << 20);
    tg_buf_str_add(&want, tg_str_first(page, (size_t)begin + sizeof BEGIN - 1));
    write_table(&want);
    tg_buf_str_add(&want, tg_str_from(page, (size_t)end));
    if (getenv("TG_UPDATE_DOCS")) {
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(want.p, 1, want.n, f), want.n);
        assert_int_equal(fclose(f), 0);
    } else {
        assert_str_equal(page, tg_buf_str(&want));
    }
    tg_buf_fini(&want);
    tg_free((char *)(uintptr_t)page.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_page_says_what_the_rows_say)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
