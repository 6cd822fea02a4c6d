// A load generator: `load <port> <connections> <seconds> <file>` sends the requests of a file over and over, one at a time
// on each connection, and prints what came back as JSON. The file holds each request as 4 bytes of length and the bytes.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST_REQUESTS 100000
#define MOST_TIMES 20000000

typedef struct {
    int fd;
    size_t sent, got, size;  // bytes of the request sent; of the answer received; room for it
    char *answer;
    const char *request;
    uint32_t length;
    double started;
} connection;

static const char *requests[MOST_REQUESTS];
static uint32_t lengths[MOST_REQUESTS];
static int count, next_request;
static float *times;
static long answered, failed;
static int port;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void stop(const char *why)
{
    fprintf(stderr, "load: %s\n", why);
    exit(1);
}

static void send_some(connection *c)
{
    while (c->sent < c->length) {
        ssize_t n = send(c->fd, c->request + c->sent, c->length - c->sent, MSG_NOSIGNAL);
        if (n < 0)
            return;
        c->sent += n;
    }
}

static void begin(connection *c)
{
    c->request = requests[next_request];
    c->length = lengths[next_request];
    next_request = (next_request + 1) % count;
    c->sent = c->got = 0;
    c->started = now();
    send_some(c);
}

static void open_connection(connection *c, int epoll)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to))
        stop("cannot connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
    begin(c);
}

// Whether the answer is whole.
static bool whole(connection *c)
{
    c->answer[c->got] = 0;
    char *end = memmem(c->answer, c->got, "\r\n\r\n", 4);
    if (!end)
        return false;
    char *length = strcasestr(c->answer, "\r\ncontent-length:");
    if (!length || length > end)
        stop("an answer without content-length");
    return c->got >= (size_t)(end + 4 - c->answer) + strtoul(length + 17, NULL, 10);
}

static void receive(connection *c, int epoll)
{
    for (;;) {
        if (c->got + 65536 > c->size && !(c->answer = realloc(c->answer, c->size = 2 * c->size + 131072)))
            stop("no memory");
        ssize_t n = recv(c->fd, c->answer + c->got, c->size - c->got - 1, 0);
        if (n < 0)
            return;
        c->got += n;
        bool done = n && whole(c);
        if (!done && n)
            continue;
        if (answered < MOST_TIMES)
            times[answered++] = (now() - c->started) * 1e3;
        bool good = done && !strncmp(c->answer + 9, "200", 3);
        if (!good && !failed++)
            fprintf(stderr, "load: first answer that is not 200: %.300s\n", c->got ? c->answer : "closed");
        bool closes = !done || (strcasestr(c->answer, "\r\nconnection: close") != NULL);
        if (closes) {
            close(c->fd);
            open_connection(c, epoll);
            return;
        }
        begin(c);
    }
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        stop("usage: load <port> <connections> <seconds> <file>");
    port = atoi(argv[1]);
    int connections = atoi(argv[2]);
    double seconds = atof(argv[3]);
    FILE *file = fopen(argv[4], "rb");
    uint32_t length;
    while (file && count < MOST_REQUESTS && fread(&length, 4, 1, file) == 1) {
        char *request = malloc(length);
        if (!request || fread(request, 1, length, file) != length)
            stop("the file ends in a request");
        requests[count] = request;
        lengths[count++] = length;
    }
    times = malloc(MOST_TIMES * sizeof *times);
    connection *all = calloc(connections, sizeof *all);
    int epoll = epoll_create1(0);
    if (!count || !times || !all)
        stop("no requests or no memory");
    for (int i = 0; i < connections; i++)
        open_connection(&all[i], epoll);
    double started = now();
    while (now() < started + seconds || (answered < 20 && now() < started + 60)) {  // some servers need a second a row
        struct epoll_event events[64];
        int n = epoll_wait(epoll, events, 64, 100);
        for (int i = 0; i < n; i++) {
            connection *c = events[i].data.ptr;
            if (c->sent < c->length)
                send_some(c);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                receive(c, epoll);
        }
    }
    double took = now() - started;
    if (!answered)
        stop("nothing was answered");
    qsort(times, answered, sizeof *times, by_size);
    printf("{\"requests\": %ld, \"failed\": %ld, \"seconds\": %.3f, \"p50_ms\": %.4f, \"p99_ms\": %.4f}\n", answered, failed,
           took, times[answered / 2], times[answered * 99 / 100]);
}
