// What the three programs share: a file of netlink messages in memory, a socket as good as we know how to set it up,
// and a clock. Everything that is not the question itself happens before the clock starts.
#ifndef BASELINE_NETLINK_H
#define BASELINE_NETLINK_H

#include <errno.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DIE(...) (fprintf(stderr, __VA_ARGS__), exit(1))

static unsigned char answers[1 << 20];

struct messages {
  unsigned char *bytes;
  size_t size;
  size_t count;
};

static inline struct nlmsghdr *message_at(unsigned char *at) { return (struct nlmsghdr *)at; }
static inline size_t padded(size_t size) { return (size + 3) & ~(size_t)3; }

static inline uint64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/** Reads FILE, checks its framing and gives every message its sequence number, from 1 on. */
static inline struct messages load(const char *file) {
  FILE *stream = fopen(file, "rb");
  struct stat about;
  if (stream == NULL || fstat(fileno(stream), &about) != 0) DIE("%s: %s\n", file, strerror(errno));
  struct messages all = {malloc((size_t)about.st_size + 1), (size_t)about.st_size, 0};
  if (all.bytes == NULL || fread(all.bytes, 1, all.size, stream) != all.size) DIE("%s: cannot be read\n", file);
  fclose(stream);
  for (size_t at = 0; at < all.size; at += padded(message_at(all.bytes + at)->nlmsg_len)) {
    struct nlmsghdr *header = message_at(all.bytes + at);
    if (all.size - at < sizeof *header || header->nlmsg_len < sizeof *header || header->nlmsg_len > all.size - at)
      DIE("%s: no message at byte %zu\n", file, at);
    header->nlmsg_seq = (uint32_t)++all.count;
    header->nlmsg_pid = 0;
    header->nlmsg_flags &= (uint16_t)~NLM_F_ACK;
  }
  return all;
}

/** `generic` or `route`, with large buffers and short answers. */
static inline int open_socket(const char *protocol) {
  int number = strcmp(protocol, "generic") == 0 ? NETLINK_GENERIC : NETLINK_ROUTE;
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, number);
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  int receive = 4 << 20, send = 1 << 20, on = 1;
  if (fd < 0 || bind(fd, (struct sockaddr *)&kernel, sizeof kernel) != 0) DIE("socket: %s\n", strerror(errno));
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive, sizeof receive) != 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive, sizeof receive);
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &send, sizeof send) != 0)
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send, sizeof send);
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  if (connect(fd, (struct sockaddr *)&kernel, sizeof kernel) != 0) DIE("connect: %s\n", strerror(errno));
  return fd;
}

/** One datagram into `answers`; 0 when there is none, which never blocks. */
static inline size_t receive_now(int fd) {
  ssize_t size = recv(fd, answers, sizeof answers, MSG_DONTWAIT);
  if (size >= 0) return (size_t)size;
  if (errno == EAGAIN) return 0;
  DIE("receive: %s\n", strerror(errno));
}

static inline void send_all(int fd, const void *bytes, size_t size) {
  if (send(fd, bytes, size, 0) != (ssize_t)size) DIE("send: %s\n", strerror(errno));
}

/** Counts what was refused in `answers`, and remembers the first errno. */
struct refusals {
  size_t count;
  int first;
};

static inline void note(struct refusals *refused, const struct nlmsghdr *header) {
  if (header->nlmsg_type != NLMSG_ERROR) return;
  int error = ((const struct nlmsgerr *)((const unsigned char *)header + NLMSG_HDRLEN))->error;
  if (error == 0) return;
  if (refused->count++ == 0) refused->first = -error;
}

/**
 * Waits to be told to take a turn: by a line on the standard input. Whoever measures beside us keeps one of us for all turns, since
 * a process that forks finds its own memory write-protected afterwards, and pays for it in the next turn.
 */
static inline int next_turn(void) {
  char line[16];
  fflush(stdout);
  return fgets(line, sizeof line, stdin) != NULL;
}

/** CPU time of this process so far, which begins with what reading the file took. */
static inline void print_cpu(void) {
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  printf("\"userUs\":%ld,\"kernelUs\":%ld", use.ru_utime.tv_sec * 1000000L + use.ru_utime.tv_usec,
         use.ru_stime.tv_sec * 1000000L + use.ru_stime.tv_usec);
}

#endif
