// The practical limit: a server that looks for the end of a request, reads its plain CSV body into the model and writes the
// answer. It checks nothing, so it must not serve anybody; the serving path is measured against it.
#define _GNU_SOURCE
#include "native.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM (8 << 20)
#define MOST_ROWS 65536

int64_t predict(const model *m, const char *body, size_t length, int format, double *predictions, size_t capacity);

typedef struct {
    int fd;
    size_t got;
    char *data;
} connection;

static const model *served;
static int port;

static void answer(connection *c, const char *body, size_t length, double *predictions, char *out)
{
    int64_t rows = predict(served, body, length, 0, predictions, MOST_ROWS);
    char *text = out + 256;
    size_t size = sprintf(text, "{\"predictions\":[");
    for (int64_t row = 0; row < rows; row++)
        size += sprintf(text + size, "%s%.17g", row ? "," : "", predictions[row]);
    size += sprintf(text + size, "]}");
    char head[256];
    int head_size = sprintf(head, "HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n",
                            rows > 0 ? "200 OK" : "400 Bad Request", size);
    memcpy(text - head_size, head, head_size);
    for (size_t sent = 0; sent < head_size + size;) {
        ssize_t n = send(c->fd, text - head_size + sent, head_size + size - sent, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        sent += n;
    }
}

static void *work(void *unused)
{
    int one = 1, listening = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listening, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (bind(listening, (struct sockaddr *)&at, sizeof at) || listen(listening, 1024))
        exit(1);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listening, &event);
    double *predictions = malloc(MOST_ROWS * sizeof *predictions);
    char *out = malloc(256 + MOST_ROWS * 26);
    for (;;) {
        struct epoll_event events[64];
        int n = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < n; i++) {
            connection *c = events[i].data.ptr;
            if (!c) {
                c = calloc(1, sizeof *c);
                c->data = malloc(ROOM);
                c->fd = accept(listening, NULL, NULL);
                setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                event.data.ptr = c;
                epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
                continue;
            }
            ssize_t got = recv(c->fd, c->data + c->got, ROOM - c->got - 1, 0);
            if (got <= 0) {
                close(c->fd);
                free(c->data);
                free(c);
                continue;
            }
            c->got += got;
            c->data[c->got] = 0;
            char *end = memmem(c->data, c->got, "\r\n\r\n", 4);
            char *length = end ? strcasestr(c->data, "\r\ncontent-length:") : NULL;
            size_t size = length ? strtoul(length + 17, NULL, 10) : 0;
            if (end && c->got >= (size_t)(end + 4 - c->data) + size) {
                answer(c, end + 4, size, predictions, out);
                c->got = 0;
            }
        }
    }
    return unused;
}

// Serve for ever, on that many threads.
EXPORT void serve(const model *m, int on_port, int threads)
{
    served = m;
    port = on_port;
    pthread_t others;
    for (int i = 1; i < threads; i++)
        pthread_create(&others, NULL, work, NULL);
    work(NULL);
}
