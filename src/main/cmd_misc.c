/* The small commands: check-config, models, version, engine. */
#include <stdio.h>

#include "base/buf.h"
#include "engine/child.h"
#include "main/cli.h"

static void print_buf(const struct tg_buf *b)
{
    if (b->n)
        (void)fwrite(b->p, 1, b->n, stdout);
}

static int check_config(struct tg_cli *c)
{
    if (c->n_words && !c->config_file)
        c->config_file = c->words[0];
    const struct tg_snapshot *s = tg_cli_load(c, false);
    if (!s)
        return TG_EXIT_USAGE;
    if (!c->quiet) {
        struct tg_buf b;
        tg_buf_init(&b, 4u << 20);
        if (tg_config_write_effective(s, &b) == 0)
            print_buf(&b);
        tg_buf_fini(&b);
    }
    printf("%s is valid: %zu models, the default is %.*s\n",
           s->config_file.n ? s->config_file.p : "the configuration", s->n_models,
           TG_STR_ARG(s->default_model));
    tg_snapshot_unref(s);
    return 0;
}

static int set_quiet(struct tg_cli *c, const char *v TG_UNUSED)
{
    c->quiet = true;
    return 0;
}

static const struct tg_cli_option check_options[] = {
    {"--quiet", NULL, "do not print the settings in effect", set_quiet},
    {NULL, NULL, NULL, NULL},
};

const struct tg_command tg_cmd_check_config = {
    .name = "check-config",
    .usage = "[FILE]",
    .summary = "say what is wrong with a configuration, or what it comes to",
    .details = "Reads the configuration as `serve` would and prints every problem with file, line\n"
               "and key, then the settings in effect with secrets as ***. Exit code 0 when it is\n"
               "valid, 2 when not.",
    .options = check_options,
    .config = true,
    .run = check_config,
};

static int models(struct tg_cli *c)
{
    const struct tg_snapshot *s = tg_cli_load(c, false);
    if (!s)
        return TG_EXIT_USAGE;
    printf("%-28s %-18s %-8s %-10s %s\n", "NAME", "BACKEND", "TIER", "CONTEXT", "NOTE");
    for (size_t i = 0; i < s->n_models; i++) {
        const struct tg_model *m = &s->models[i];
        const struct tg_target *t = &s->targets[m->target];
        const char *tier = tg_tier_name(m->tier);
        char context[24] = "-";
        if (m->context_length)
            snprintf(context, sizeof context, "%llu", (unsigned long long)m->context_length);
        printf("%-28.*s %-18s %-8s %-10s %s%s%.*s\n", TG_STR_ARG(m->name),
               tg_backend_kind_name(t->kind), *tier ? tier : "-", context,
               tg_str_eq(m->name, s->default_model) ? "default " : "",
               t->unavailable.n ? "unavailable: "
               : m->builtin     ? "built in"
                                : "",
               TG_STR_ARG(t->unavailable));
    }
    tg_snapshot_unref(s);
    return 0;
}

const struct tg_command tg_cmd_models = {
    .name = "models",
    .usage = "",
    .summary = "list the configured models",
    .details = "Lists what the configuration offers. GET /v1/models says the same of a running\n"
               "gateway.",
    .config = true,
    .run = models,
};

static int version(struct tg_cli *c TG_UNUSED)
{
    printf("tollgate %s\n", TG_VERSION);
    return 0;
}

const struct tg_command tg_cmd_version = {
    .name = "version",
    .usage = "",
    .summary = "print the version",
    .details = "Prints the version.",
    .run = version,
};

static int engine(struct tg_cli *c TG_UNUSED)
{
    return tg_engine_child_main(TG_ENGINE_CHILD_FD);
}

/* No summary: the gateway starts it, people do not. */
const struct tg_command tg_cmd_engine = {
    .name = "engine",
    .usage = "",
    .details = "The local engine's process: started by the gateway with a socket as descriptor 3.",
    .run = engine,
};
