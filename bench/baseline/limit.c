// limit generic|route FILE [SEGMENTS]
//
// The kernel's own limit: sends the messages of FILE in the best way known and does nothing else. 256 messages a send,
// of which only the last asks for an ACK: the kernel reports errors unasked, so nothing is lost.
// For every line on the standard input it does so once and prints one JSON object; `segments` holds the nanoseconds at which each of SEGMENTS equal parts was done.

#include "netlink.h"

enum { WINDOW = 256, MAX_BYTES = 128 << 10 };

/** Reads until `last` is answered. */
static void collect(int fd, uint32_t last, struct refusals *refused) {
  for (;;) {
    size_t size = receive_now(fd);
    if (size == 0) DIE("message %u was not answered\n", last);
    for (size_t at = 0; at + NLMSG_HDRLEN <= size; at += padded(message_at(answers + at)->nlmsg_len)) {
      struct nlmsghdr *header = message_at(answers + at);
      note(refused, header);
      if (header->nlmsg_type == NLMSG_ERROR && header->nlmsg_seq == last) return;
    }
  }
}

/** Sends every message, and writes down when each part was done. */
static void send_them(int fd, struct messages all, struct refusals *refused, uint64_t *reached, size_t segments) {
  uint64_t start = now_ns();
  size_t from = 0, done = 0, segment = 0;
  while (from < all.size) {
    size_t size = 0, count = 0;
    struct nlmsghdr *last = NULL;
    while (from + size < all.size && count < WINDOW) {
      struct nlmsghdr *next = message_at(all.bytes + from + size);
      if (count > 0 && size + next->nlmsg_len > MAX_BYTES) break;
      last = next;
      size += padded(next->nlmsg_len);
      count++;
    }
    last->nlmsg_flags |= NLM_F_ACK;
    send_all(fd, all.bytes + from, size);
    collect(fd, last->nlmsg_seq, refused);
    from += size;
    done += count;
    while (segment < segments && done * segments >= (segment + 1) * all.count) reached[segment++] = now_ns() - start;
  }
  reached[segments] = now_ns() - start;
}

int main(int argc, char **argv) {
  if (argc < 3) DIE("usage: limit generic|route FILE [SEGMENTS]\n");
  struct messages all = load(argv[2]);
  size_t segments = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
  uint64_t *reached = calloc(segments + 1, sizeof *reached);
  int fd = open_socket(argv[1]);
  while (next_turn()) {
    struct refusals refused = {0, 0};
    send_them(fd, all, &refused, reached, segments);
    printf("{\"messages\":%zu,\"ns\":%llu,\"failures\":%zu,\"errno\":%d,\"segments\":[", all.count,
           (unsigned long long)reached[segments], refused.count, refused.first);
    for (size_t i = 0; i < segments; i++) printf("%s%llu", i == 0 ? "" : ",", (unsigned long long)reached[i]);
    printf("],");
    print_cpu();
    printf("}\n");
  }
  return 0;
}
