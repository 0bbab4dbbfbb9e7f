/* An SMTP server of GNU SASL and GnuTLS, for tests/system/bound.rs: an independent peer for logins that are bound to the channel.
 *
 *     gsasl-server CERT_AND_KEY USER PASSWORD [MECHANISM...]
 *
 * Listens on a free port of 127.0.0.1 and says which; takes one connection after the other, TLS from the first byte, and ends
 * with its standard input. EHLO offers the MECHANISMs that follow; the library is asked for whichever the client names. Mail is
 * taken after a login only, and forgotten.
 */
#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gsasl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *user, *password;
static char binding[100];

static int callback(Gsasl *library, Gsasl_session *session, Gsasl_property property)
{
    (void)library;
    switch (property) {
    case GSASL_PASSWORD: {
        const char *who = gsasl_property_fast(session, GSASL_AUTHID);
        if (!who || strcmp(who, user))
            return GSASL_NO_PASSWORD;
        return gsasl_property_set(session, GSASL_PASSWORD, password);
    }
    case GSASL_CB_TLS_EXPORTER:
        return *binding ? gsasl_property_set(session, GSASL_CB_TLS_EXPORTER, binding) : GSASL_NO_CB_TLS_EXPORTER;
    default:
        return GSASL_NO_CALLBACK;
    }
}

static void say(gnutls_session_t tls, const char *text)
{
    gnutls_record_send(tls, text, strlen(text));
    gnutls_record_send(tls, "\r\n", 2);
}

/* One line without its end; 0 at the end of the stream. */
static int hear(gnutls_session_t tls, char *line, size_t room)
{
    size_t length = 0;
    while (length + 1 < room) {
        if (gnutls_record_recv(tls, line + length, 1) != 1)
            return 0;
        if (line[length++] == '\n')
            break;
    }
    line[length] = 0;
    line[strcspn(line, "\r\n")] = 0;
    return 1;
}

/* The login, from the words behind AUTH; 1 where it was proven. */
static int authenticate(Gsasl *library, gnutls_session_t tls, char *words)
{
    char line[16384];
    char *initial = strchr(words, ' ');
    Gsasl_session *session;
    if (initial)
        *initial++ = 0;
    if (gsasl_server_start(library, words, &session) != GSASL_OK) {
        say(tls, "504 5.5.4 unknown mechanism");
        return 0;
    }
    snprintf(line, sizeof line, "%s", initial && strcmp(initial, "=") ? initial : "");
    for (;;) {
        char *out = NULL;
        int result = gsasl_step64(session, line, &out);
        if (result == GSASL_NEEDS_MORE || (result == GSASL_OK && out && *out)) {
            char challenge[16384];
            snprintf(challenge, sizeof challenge, "334 %s", out);
            say(tls, challenge);
            gsasl_free(out);
            if (!hear(tls, line, sizeof line))
                break;
            if (result == GSASL_OK) {
                say(tls, *line ? "501 5.5.2 nothing was left to say" : "235 2.7.0 in");
                gsasl_finish(session);
                return !*line;
            }
            continue;
        }
        gsasl_free(out);
        say(tls, result == GSASL_OK ? "235 2.7.0 in" : "535 5.7.8 no");
        fprintf(stderr, "%s: %s\n", words, gsasl_strerror(result));
        gsasl_finish(session);
        return result == GSASL_OK;
    }
    gsasl_finish(session);
    return 0;
}

static void converse(Gsasl *library, gnutls_session_t tls, const char *offer)
{
    char line[16384];
    int proven = 0;
    say(tls, "220 localhost ESMTP GNU SASL");
    while (hear(tls, line, sizeof line)) {
        if (!strncasecmp(line, "EHLO", 4)) {
            say(tls, "250-localhost");
            say(tls, offer);
        } else if (!strncasecmp(line, "AUTH ", 5)) {
            proven = authenticate(library, tls, line + 5);
        } else if (!strncasecmp(line, "QUIT", 4)) {
            say(tls, "221 2.0.0 bye");
            return;
        } else if (!proven) {
            say(tls, "530 5.7.0 log in first");
        } else if (!strncasecmp(line, "DATA", 4)) {
            say(tls, "354 go on");
            while (hear(tls, line, sizeof line) && strcmp(line, "."))
                ;
            say(tls, "250 2.0.0 taken");
        } else {
            say(tls, "250 2.0.0 ok");
        }
    }
}

static void serve(Gsasl *library, gnutls_certificate_credentials_t credentials, int fd, const char *offer)
{
    gnutls_session_t tls;
    gnutls_datum_t channel;
    int result;
    gnutls_init(&tls, GNUTLS_SERVER);
    gnutls_set_default_priority(tls);
    gnutls_credentials_set(tls, GNUTLS_CRD_CERTIFICATE, credentials);
    gnutls_transport_set_int(tls, fd);
    do
        result = gnutls_handshake(tls);
    while (result < 0 && !gnutls_error_is_fatal(result));
    *binding = 0;
    if (result == 0 && gnutls_session_channel_binding(tls, GNUTLS_CB_TLS_EXPORTER, &channel) == 0) {
        char *text;
        size_t length;
        gsasl_base64_to((char *)channel.data, channel.size, &text, &length);
        snprintf(binding, sizeof binding, "%s", text);
        gsasl_free(text);
        gnutls_free(channel.data);
    }
    if (result == 0)
        converse(library, tls, offer);
    gnutls_deinit(tls);
    close(fd);
}

int main(int count, char **words)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    gnutls_certificate_credentials_t credentials;
    Gsasl *library;
    char offer[500] = "250 AUTH";
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (count < 5 || gsasl_init(&library) != GSASL_OK)
        return 1;
    user = words[2];
    password = words[3];
    for (int index = 4; index < count; index++) {
        strncat(offer, " ", sizeof offer - strlen(offer) - 1);
        strncat(offer, words[index], sizeof offer - strlen(offer) - 1);
    }
    gsasl_callback_set(library, callback);
    gnutls_certificate_allocate_credentials(&credentials);
    if (gnutls_certificate_set_x509_key_file(credentials, words[1], words[1], GNUTLS_X509_FMT_PEM) < 0)
        return 1;
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 10))
        return 1;
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        struct pollfd ends[2] = {{.fd = 0, .events = POLLIN}, {.fd = listener, .events = POLLIN}};
        if (poll(ends, 2, -1) < 0 || ends[0].revents)
            return 0;
        if (ends[1].revents)
            serve(library, credentials, accept(listener, NULL, NULL), offer);
    }
}
