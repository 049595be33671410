/* The fidelity tables of docs/fidelity.md are made from the dialects' names and the adapters' rows;
 * TG_UPDATE_DOCS=1 writes them anew. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "adapter/adapter.h"
#include "adapter/quirks.h"
#include "base/alloc.h"
#include "chat/fidelity.h"
#include "dialect/dialect.h"
#include "engine/backend_engine.h"

#define BEGIN "<!-- fidelity: TG_UPDATE_DOCS=1 with the test adapter/fidelity_docs -->\n"
#define END   "<!-- end of fidelity -->\n"

/* Providers as they are configured: backend_type, and `api` where there are several. */
static const struct column {
    const char *name;
    const struct tg_adapter *adapter; /* NULL: the local engine */
    const struct tg_quirks *quirks;
} columns[] = {
    {"openai", &tg_adapter_openai},
    {"openai (responses)", &tg_adapter_openai_responses},
    {"openai_compatible", &tg_adapter_openai, &tg_quirks_unknown},
    {"azure_openai", &tg_adapter_azure},
    {"azure_openai (responses)", &tg_adapter_azure_responses},
    {"anthropic", &tg_adapter_anthropic},
    {"vertex (Claude)", &tg_adapter_vertex_claude},
    {"bedrock (invoke)", &tg_adapter_bedrock_invoke},
    {"bedrock", &tg_adapter_bedrock},
    {"gemini", &tg_adapter_gemini},
    {"vertex", &tg_adapter_vertex},
    {"huggingface", &tg_adapter_openai},
    {"huggingface (native)", &tg_adapter_huggingface},
    {"cohere", &tg_adapter_cohere},
    {"ollama", &tg_adapter_ollama},
    {"local", NULL},
};

static const struct section {
    const char *title;
    const struct tg_dialect *dialect;
} sections[] = {
    {"OpenAI Chat Completions", &tg_dialect_openai_chat},
    {"OpenAI Responses", &tg_dialect_responses},
    {"Anthropic Messages", &tg_dialect_anthropic},
    {"Gemini generateContent", &tg_dialect_gemini},
    {"Ollama /api/chat", &tg_dialect_ollama_chat},
    {"Ollama /api/generate", &tg_dialect_ollama_generate},
    {"OpenAI Completions", &tg_dialect_openai_completions},
    {"/v1/generate", &tg_dialect_generate},
    {"/api/chat with one message", &tg_dialect_simple_chat},
    {"OpenAI Embeddings", &tg_dialect_openai_embeddings},
    {"Gemini embedContent", &tg_dialect_gemini_embed},
    {"Ollama /api/embed", &tg_dialect_ollama_embed},
};

static const uint8_t *row_of(const struct column *c)
{
    return c->adapter ? c->adapter->fidelity : tg_engine_fidelity;
}

/* The client's bytes go on, or are written again in the same format: nothing is lost. */
static bool passes(const struct column *c, const struct tg_dialect *d)
{
    if (!c->adapter || d->format == TG_WIRE_NONE)
        return false;
    return c->adapter->api == d->format ||
           tg_wire_in(tg_quirks_formats(c->quirks, c->adapter->formats), d->format);
}

static bool has_task(const struct column *c, const struct tg_dialect *d)
{
    return !c->adapter || c->adapter->tasks >> d->task & 1u;
}

/* The first column before it that has the same row. */
static size_t same_as(size_t at, const struct tg_dialect *d)
{
    for (size_t i = 0; i < at; i++) {
        if (!passes(&columns[i], d) && has_task(&columns[i], d) &&
            row_of(&columns[i]) == row_of(&columns[at]))
            return i;
    }
    return at;
}

static bool is_shown(size_t i, const struct tg_dialect *d)
{
    return !passes(&columns[i], d) && has_task(&columns[i], d) && same_as(i, d) == i;
}

static void write_heads(const struct tg_dialect *d, struct tg_buf *b)
{
    tg_buf_lit(b, "| field | |");
    for (size_t i = 0; i < TG_ARRAY_LEN(columns); i++) {
        if (!is_shown(i, d))
            continue;
        tg_buf_printf(b, " %s", columns[i].name);
        for (size_t k = i + 1; k < TG_ARRAY_LEN(columns); k++) {
            if (!passes(&columns[k], d) && has_task(&columns[k], d) && same_as(k, d) == i)
                tg_buf_printf(b, ", %s", columns[k].name);
        }
        tg_buf_lit(b, " |");
    }
    tg_buf_lit(b, "\n|---|---|");
    for (size_t i = 0; i < TG_ARRAY_LEN(columns); i++)
        tg_buf_str_add(b, is_shown(i, d) ? TG_STR("---|") : TG_STR(""));
    tg_buf_char(b, '\n');
}

static void write_passing(const struct tg_dialect *d, struct tg_buf *b)
{
    bool any = false;
    for (size_t i = 0; i < TG_ARRAY_LEN(columns); i++) {
        if (!passes(&columns[i], d))
            continue;
        tg_buf_printf(b, "%s %s", any ? "," : "Passes as it is:", columns[i].name);
        any = true;
    }
    tg_buf_str_add(b, any ? TG_STR(".\n\n") : TG_STR(""));
}

static void write_names(const char *names, struct tg_buf *b)
{
    struct tg_str rest = tg_str_c(names), one;
    bool first = true;
    for (; rest.n && tg_str_split(&rest, ' ', &one); first = false)
        tg_buf_printf(b, "%s`%.*s`", first ? "" : ", ", TG_STR_ARG(one));
}

static void write_section(const struct section *s, struct tg_buf *b)
{
    const struct tg_dialect *d = s->dialect;
    tg_buf_printf(b, "\n### %s\n\n", s->title);
    write_passing(d, b);
    write_heads(d, b);
    for (int f = 0; f < TG_FEATURE_COUNT; f++) {
        if (!d->fields[f])
            continue;
        tg_buf_lit(b, "| ");
        if (f == TG_FEATURE_EXTRA)
            tg_buf_lit(b, "any other");
        else
            write_names(d->fields[f], b);
        tg_buf_printf(b, " | %s |", tg_feature_what((enum tg_feature)f));
        for (size_t i = 0; i < TG_ARRAY_LEN(columns); i++) {
            if (is_shown(i, d))
                tg_buf_printf(b, " %s |", tg_fidelity_name(row_of(&columns[i])[f]));
        }
        tg_buf_char(b, '\n');
    }
}

/* ---- providers of OpenAI's API ---- */

static void write_bits(const char *word, uint64_t bits, struct tg_buf *b)
{
    if (!bits)
        return;
    tg_buf_printf(b, "%s: ", word);
    for (bool first = true; bits; bits &= bits - 1, first = false)
        tg_buf_printf(b, "%s`%s`", first ? "" : ", ",
                      tg_feature_name((enum tg_feature)__builtin_ctzll(bits)));
    tg_buf_lit(b, ". ");
}

static void write_ways(const struct tg_quirks *q, struct tg_buf *b)
{
    static const char *const forms[] = {
        [TG_REASONING_EFFORT] = "",
        [TG_REASONING_OBJECT] = "Reasoning is `reasoning`, an object. ",
        [TG_REASONING_THINKING] = "Reasoning is `thinking.type`. ",
        [TG_REASONING_ENABLE_THINKING] = "Reasoning is `enable_thinking`, `thinking_budget`. ",
        [TG_REASONING_NONE] = "Reasoning can't be set. ",
    };
    static const char *const backs[] = {
        [TG_REASONING_BACK_NONE] = "",
        [TG_REASONING_BACK_CONTENT] = "Earlier reasoning goes back as `reasoning_content`. ",
        [TG_REASONING_BACK_SHORT] = "Earlier reasoning goes back as `reasoning`. ",
        [TG_REASONING_BACK_DETAILS] = "Earlier reasoning goes back as `reasoning_details`. ",
    };
    for (const struct tg_rename *r = q->renames; r && r->from.n; r++)
        tg_buf_printf(b, "`%.*s` is `%.*s`. ", TG_STR_ARG(r->from), TG_STR_ARG(r->to));
    if (q->max_tokens)
        tg_buf_printf(b, "Only `%s`. ",
                      q->max_tokens == TG_MAX_TOKENS_OLD ? "max_tokens" : "max_completion_tokens");
    tg_buf_printf(b, "%s%s", forms[q->reasoning], backs[q->reasoning_back]);
    if (q->short_call_ids)
        tg_buf_lit(b, "Ids of calls have nine characters. ");
    if (q->no_stream_options)
        tg_buf_lit(b, "No `stream_options`. ");
}

static void write_quirks(struct tg_buf *b)
{
    const struct tg_quirks *q;
    tg_buf_lit(
        b, "\n### openai_compatible, by provider\n\nWhat is other than at openai, by the names "
           "of OpenAI's chat API.\n\n| provider | other formats than chat that pass as they are "
           "| differs |\n|---|---|---|\n");
    for (size_t i = 0; (q = tg_quirks_at(i)) != NULL; i++) {
        uint32_t formats = tg_quirks_formats(q, tg_adapter_openai.formats);
        bool any = false;
        tg_buf_printf(b, "| `%s` |", q->name);
        for (int f = TG_WIRE_OPENAI_CHAT + 1; f < TG_WIRE_FORMAT_COUNT; f++) {
            if (!tg_wire_in(formats, (enum tg_wire_format)f))
                continue;
            tg_buf_printf(b, "%s %s", any ? "," : "", tg_wire_format_name((enum tg_wire_format)f));
            any = true;
        }
        tg_buf_lit(b, " | ");
        write_bits("Native", q->native, b);
        write_bits("Emulated", q->emulated, b);
        write_bits("Dropped", q->dropped, b);
        write_bits("Refused", q->refused, b);
        write_ways(q, b);
        tg_buf_lit(b, "|\n");
    }
}

static void write_table(struct tg_buf *b)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(sections); i++)
        write_section(&sections[i], b);
    write_quirks(b);
    tg_buf_char(b, '\n');
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
