#include "main/cli.h"

#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"

extern char **environ;

int tg_cli_set(struct tg_cli *c, const char *key, const char *value)
{
    char text[1200];
    int n = snprintf(text, sizeof text, "%s=%s", key, value);
    char *kept = n > 0 && (size_t)n < sizeof text ? tg_strdup(text) : NULL;
    if (!kept || c->n_overrides == TG_CLI_MAX_SET) {
        tg_free(kept);
        (void)fprintf(stderr, "tollgate: too many or too long settings\n");
        return TG_EXIT_USAGE;
    }
    c->overrides[c->n_overrides++] = kept;
    c->owned[c->n_owned++] = kept;
    return 0;
}

void tg_cli_fini(struct tg_cli *c)
{
    while (c->n_owned)
        tg_free(c->owned[--c->n_owned]);
}

static int set_config(struct tg_cli *c, const char *v)
{
    c->config_file = v;
    return 0;
}
static int set_any(struct tg_cli *c, const char *v)
{
    if (c->n_overrides == TG_CLI_MAX_SET || !strchr(v, '=')) {
        (void)fprintf(stderr, "tollgate: --set takes key=value, for example server.port=9000\n");
        return TG_EXIT_USAGE;
    }
    c->overrides[c->n_overrides++] = v;
    return 0;
}
static int set_host(struct tg_cli *c, const char *v)
{
    return tg_cli_set(c, "server.host", v);
}
static int set_port(struct tg_cli *c, const char *v)
{
    return tg_cli_set(c, "server.port", v);
}
static int set_workers(struct tg_cli *c, const char *v)
{
    return tg_cli_set(c, "server.workers", v);
}
static int set_log_level(struct tg_cli *c, const char *v)
{
    return tg_cli_set(c, "observability.log_level", v);
}

static const struct tg_cli_option config_options[] = {
    {"--config", "FILE",
     "configuration file (else TOLLGATE_CONFIG, ./tollgate.yaml, "
     "./config/models.yaml)",
     set_config},
    {"--host", "ADDRESS", "address to listen on", set_host},
    {"--port", "N", "port to listen on; 0 lets the system choose", set_port},
    {"--workers", "N", "threads that serve", set_workers},
    {"--log-level", "LEVEL", "debug, info, warning, error or off", set_log_level},
    {"--set", "KEY=VALUE", "any setting of the configuration file", set_any},
    {NULL, NULL, NULL, NULL},
};

static const struct tg_cli_option *find_in(const struct tg_cli_option *list, const char *name,
                                           size_t n)
{
    for (; list && list->name; list++) {
        if (strlen(list->name) == n && memcmp(list->name, name, n) == 0)
            return list;
    }
    return NULL;
}

static const struct tg_cli_option *find_option(const struct tg_command *cmd, const char *name,
                                               size_t n)
{
    const struct tg_cli_option *o = find_in(cmd->options, name, n);
    return o || !cmd->config ? o : find_in(config_options, name, n);
}

static int take_option(const struct tg_command *cmd, int argc, char **argv, int *i,
                       struct tg_cli *out)
{
    const char *arg = argv[*i], *eq = strchr(arg, '=');
    size_t n = eq ? (size_t)(eq - arg) : strlen(arg);
    const struct tg_cli_option *o = find_option(cmd, arg, n);
    if (!o) {
        (void)fprintf(stderr, "tollgate %s: unknown option %.*s (see tollgate %s --help)\n",
                      cmd->name, (int)n, arg, cmd->name);
        return TG_EXIT_USAGE;
    }
    const char *value = eq ? eq + 1 : NULL;
    if (o->value && !value && *i + 1 < argc)
        value = argv[++*i];
    if ((o->value != NULL) != (value != NULL)) {
        (void)fprintf(stderr, "tollgate %s: %s takes %s\n", cmd->name, o->name,
                      o->value ? o->value : "no value");
        return TG_EXIT_USAGE;
    }
    return o->apply(out, value);
}

static bool is_help(const char *arg)
{
    return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;
}

int tg_cli_parse(const struct tg_command *cmd, int argc, char **argv, struct tg_cli *out)
{
    *out = (struct tg_cli){.port = 0};
    bool words_only = false;
    for (int i = 0; i < argc; i++) {
        if (!words_only && strcmp(argv[i], "--") == 0) {
            words_only = true;
        } else if (!words_only && is_help(argv[i])) {
            out->help = true;
        } else if (!words_only && argv[i][0] == '-' && argv[i][1]) {
            int rc = take_option(cmd, argc, argv, &i, out);
            if (rc)
                return rc;
        } else if (out->n_words < TG_ARRAY_LEN(out->words)) {
            out->words[out->n_words++] = argv[i];
        } else {
            (void)fprintf(stderr, "tollgate %s: too many words\n", cmd->name);
            return TG_EXIT_USAGE;
        }
    }
    return 0;
}

static void help_options(const struct tg_cli_option *o)
{
    for (; o && o->name; o++) {
        char left[40];
        snprintf(left, sizeof left, "%s%s%s", o->name, o->value ? " " : "",
                 o->value ? o->value : "");
        printf("  %-24s %s\n", left, o->help);
    }
}

void tg_cli_help(const struct tg_command *cmd)
{
    printf("usage: tollgate %s%s%s\n\n%s\n", cmd->name, *cmd->usage ? " " : "", cmd->usage,
           cmd->details);
    printf("\noptions:\n");
    help_options(cmd->options);
    if (cmd->config)
        help_options(config_options);
    printf("  %-24s %s\n", "-h, --help", "this text");
}

static void print_report(const struct tg_config_report *r)
{
    struct tg_buf b;
    tg_buf_init(&b, 1u << 20);
    if (tg_config_report_write(r, &b) == 0 && b.n)
        (void)fwrite(b.p, 1, b.n, stderr);
    tg_buf_fini(&b);
}

const struct tg_snapshot *tg_cli_load(const struct tg_cli *c, bool quiet)
{
    struct tg_config_source src = {
        .env = (const char *const *)(uintptr_t)environ,
        .config_file = c->config_file,
        .text = c->config_text,
        .overrides = c->overrides,
    };
    struct tg_config_report report;
    struct tg_snapshot *s = NULL;
    tg_config_report_init(&report);
    int rc = tg_config_load(&src, &s, &report);
    if (rc < 0 || !quiet)
        print_report(&report);
    if (rc < 0 && !report.n)
        (void)fprintf(stderr, "tollgate: %s\n", tg_err_info(rc)->text);
    tg_config_report_fini(&report);
    return rc < 0 ? NULL : s;
}
