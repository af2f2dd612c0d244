// receive PROTOCOL FILE [PROTOCOL FILE]...
//
// Starts the dumps that the messages of each FILE ask for, one after another, and only receives: what comes is counted
// and thrown away, once for every line on the standard input. No program that looks at the flows can be faster.

#include "netlink.h"

struct sums {
  size_t messages;
  size_t bytes;
};

/** True when the dump has ended. */
static int take_in(size_t size, struct sums *sums) {
  for (size_t at = 0; at + NLMSG_HDRLEN <= size; at += padded(message_at(answers + at)->nlmsg_len)) {
    struct nlmsghdr *header = message_at(answers + at);
    if (header->nlmsg_type == NLMSG_ERROR) DIE("the kernel refused a dump\n");
    if (header->nlmsg_type == NLMSG_DONE) return 1;
    sums->messages++;
  }
  return 0;
}

static void dump(const char *protocol, struct messages requests, struct sums *sums) {
  for (size_t from = 0; from < requests.size; from += padded(message_at(requests.bytes + from)->nlmsg_len)) {
    struct nlmsghdr *header = message_at(requests.bytes + from);
    // A socket for each dump, as it should be: what is left of one never mixes with the next.
    int fd = open_socket(protocol);
    header->nlmsg_flags |= NLM_F_REQUEST | NLM_F_DUMP;
    send_all(fd, header, padded(header->nlmsg_len));
    for (;;) {
      ssize_t size = recv(fd, answers, sizeof answers, 0);
      if (size < 0) DIE("receive: %s\n", strerror(errno));
      sums->bytes += (size_t)size;
      if (take_in((size_t)size, sums)) break;
    }
    close(fd);
  }
}

int main(int argc, char **argv) {
  if (argc < 3 || argc % 2 == 0) DIE("usage: receive generic|route FILE [generic|route FILE]...\n");
  struct messages requests[8];
  for (int i = 1; i + 1 < argc && i / 2 < 8; i += 2) requests[i / 2] = load(argv[i + 1]);
  while (next_turn()) {
    struct sums sums = {0, 0};
    uint64_t start = now_ns();
    for (int i = 1; i + 1 < argc && i / 2 < 8; i += 2) dump(argv[i], requests[i / 2], &sums);
    uint64_t end = now_ns();
    printf("{\"messages\":%zu,\"bytes\":%zu,\"ns\":%llu,\"failures\":0,\"errno\":0,", sums.messages, sums.bytes,
           (unsigned long long)(end - start));
    print_cpu();
    printf("}\n");
  }
  return 0;
}
