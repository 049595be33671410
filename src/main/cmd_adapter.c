/* `tollgate adapter`: one backend alone, over the same interface as the gateway, so that a gateway
 * on another host can have it as an `openai_compatible` one. It is `serve` with a configuration
 * made of the command line. */
#include <stdio.h>

#include "base/buf.h"
#include "main/cli.h"

/* A value as YAML's double-quoted form, which JSON strings are. */
static void add_member(struct tg_buf *b, const char *key, const char *value)
{
    if (!value)
        return;
    tg_buf_printf(b, "    %s: ", key);
    tg_buf_json_str(b, tg_str_c(value));
    tg_buf_char(b, '\n');
}

/* "timeouts.connect=3s" → `timeouts: {connect: "3s"}`. */
static void add_setting(struct tg_buf *b, const char *setting)
{
    struct tg_str rest = tg_str_c(setting), path, key;
    size_t depth = 0;
    (void)tg_str_split(&rest, '=', &path); /* the option's parser has seen to it */
    tg_buf_lit(b, "    ");
    while (tg_str_split(&path, '.', &key)) {
        tg_buf_str_add(b, depth++ ? TG_STR("{") : TG_STR(""));
        tg_buf_json_str(b, key);
        tg_buf_lit(b, ": ");
    }
    tg_buf_json_str(b, rest);
    while (depth-- > 1)
        tg_buf_char(b, '}');
    tg_buf_char(b, '\n');
}

/* What --set says of the model goes into it; the rest stays for the settings. */
static void add_settings(struct tg_cli *c, struct tg_str prefix, struct tg_buf *b)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n_overrides; i++) {
        if (tg_str_starts(tg_str_c(c->overrides[i]), prefix))
            add_setting(b, c->overrides[i] + prefix.n);
        else
            c->overrides[n++] = c->overrides[i];
    }
    c->overrides[n] = NULL;
    c->n_overrides = n;
}

/* A local model has a file and one name; providers take every name as it is. */
static void make_config(struct tg_cli *c, struct tg_buf *b)
{
    const char *kind = c->words[0];
    bool local = strcmp(kind, "local") == 0;
    tg_buf_lit(b, "engine: {builtin: false}\nstore: {path: memory}\n");
    if (c->model && !local) { /* it answers to any name, and to none */
        tg_buf_lit(b, "default_model: ");
        tg_buf_json_str(b, tg_str_c(c->model));
        tg_buf_char(b, '\n');
    }
    tg_buf_lit(b, "models:\n  ");
    tg_buf_json_str(b, local ? TG_STR("local") : TG_STR("*"));
    tg_buf_lit(b, ":\n");
    add_member(b, "backend_type", kind);
    add_member(b, "base_url", c->url);
    add_member(b, "model_name", c->model ? c->model : local ? "builtin" : NULL);
    add_settings(c, local ? TG_STR("models.local.") : TG_STR("models.*."), b);
}

static int run(struct tg_cli *c)
{
    if (c->n_words != 1) {
        (void)fprintf(stderr, "tollgate adapter: %s (see tollgate adapter --help)\n",
                      c->n_words ? "one backend at a time" : "name a backend");
        return TG_EXIT_USAGE;
    }
    if (c->config_file) {
        (void)fprintf(stderr, "tollgate adapter: takes no --config: its configuration is the "
                              "command line\n");
        return TG_EXIT_USAGE;
    }
    struct tg_buf config;
    tg_buf_init(&config, 64 * 1024);
    make_config(c, &config);
    c->config_text = tg_buf_str(&config);
    int rc = TG_EXIT_FAILED;
    if (tg_buf_ok(&config))
        rc = tg_cli_serve(c);
    else
        (void)fprintf(stderr, "tollgate adapter: out of memory\n");
    tg_buf_fini(&config);
    return rc;
}

static int set_url(struct tg_cli *c, const char *v)
{
    c->url = v;
    return 0;
}

static int set_model(struct tg_cli *c, const char *v)
{
    c->model = v;
    return 0;
}

static const struct tg_cli_option options[] = {
    {"--base-url", "URL", "where the provider's API begins (default: the provider's own)", set_url},
    {"--model-name", "NAME", "the provider's model for every name; local: a GGUF file", set_model},
    {NULL, NULL, NULL, NULL},
};

const struct tg_command tg_cmd_adapter = {
    .name = "adapter",
    .usage = "BACKEND [--base-url URL] [options]",
    .summary = "serve one backend alone",
    .details =
        "Serves one backend over the same endpoints as the gateway, for a gateway on another host\n"
        "that has it as an openai_compatible one. The credential comes from the provider's own\n"
        "environment variable; more is set with --set 'models.*.region=eu-west-1'.\n"
        "\n"
        "Backends:\n"
#define TG_BACKEND(ID, name, adapters, ...) " " #name
#include "config/backends.def"
#undef TG_BACKEND
    ,
    .options = options,
    .config = true,
    .run = run,
};
