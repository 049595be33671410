/* Certificates made by the openssl command in a folder of their own, once per test binary. */
#ifndef TG_TEST_CERTS_H
#define TG_TEST_CERTS_H

#include "io_fixture.h"

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

static char certs_dir[] = "/tmp/tg-certs-XXXXXX";
static bool certs_made;

static inline const char *cert(const char *name) /* one of a few buffers */
{
    static char paths[8][64];
    static unsigned turn;
    char *p = paths[turn++ % 8];
    snprintf(p, 64, "%s/%s", certs_dir, name);
    return p;
}

static inline bool shell(const char *script)
{
    extern char **environ;
    char sh[] = "sh", flags[] = "-ec";
    char *argv[] = {sh, flags, (char *)(uintptr_t)script, NULL};
    pid_t pid;
    int status;
    return posix_spawnp(&pid, "sh", NULL, NULL, argv, environ) == 0 &&
           waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ca.pem; good (localhost, *.wild.test, 127.0.0.1, ::1), expired, other (other.test) .pem/.key of
 * it; self.pem/.key; half.pem; locked.key with a passphrase. */
static const char certs_script[] =
    "exec >/dev/null 2>&1\n"
    "key() { openssl ecparam -genkey -name prime256v1 -noout -out $1.key; }\n"
    "key ca; key good; key expired; key other; key self\n"
    "openssl req -x509 -key ca.key -subj /CN=test-ca -days 30 -out ca.pem\n"
    "leaf() { openssl req -new -key $1.key -subj /CN=$1 -out $1.csr\n"
    "  printf \"subjectAltName=$2\\n\" > $1.ext\n"
    "  openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile $1.ext \\\n"
    "    -days $3 -out $1.pem; }\n"
    "leaf good DNS:localhost,DNS:*.wild.test,IP:127.0.0.1,IP:::1 30\n"
    "leaf other DNS:other.test 30\n"
    "leaf expired DNS:localhost -1\n"
    "openssl req -x509 -key self.key -subj /CN=localhost -addext subjectAltName=DNS:localhost \\\n"
    "  -days 30 -out self.pem\n"
    "head -c 300 good.pem > half.pem\n"
    "openssl ec -in good.key -aes128 -passout pass:x -out locked.key\n";

static inline int certs_make(void **state)
{
    char script[sizeof certs_script + 64];
    assert_non_null(mkdtemp(certs_dir));
    snprintf(script, sizeof script, "cd %s\n%s", certs_dir, certs_script);
    certs_made = shell(script);
    if (!certs_made)
        print_message("# the openssl command is missing: TLS is not tested\n");
    return 0;
}

static inline int certs_remove(void **state)
{
    char script[64];
    snprintf(script, sizeof script, "rm -rf %s", certs_dir);
    return shell(script) ? 0 : -1;
}

#define need_certs()                         \
    do {                                     \
        if (!certs_made)                     \
            skip_because("no certificates"); \
    } while (0)

#endif
