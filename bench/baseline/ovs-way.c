// ovs-way generic|route FILE [COUNT]
//
// The way ovs-vswitchd sends the same messages. To openvswitch: at most 50 operations (lib/dpif-netlink.c) and 3,584
// bytes (nl_sock_transact_multiple() in lib/netlink-socket.c) a send, no ACKs, then a read that finds nothing. To TC:
// one filter a send, and its echo is read (tc_replace_flower() in lib/tc.c).
// Only the first COUNT messages are sent, where it is given.

#include "netlink.h"

enum { MAX_OPS = 50, MAX_BYTES = 4096 - 512 };

static void drain(int fd, struct refusals *refused) {
  for (size_t size; (size = receive_now(fd)) != 0;) {
    for (size_t at = 0; at + NLMSG_HDRLEN <= size; at += padded(message_at(answers + at)->nlmsg_len))
      note(refused, message_at(answers + at));
  }
}

static void through_openvswitch(int fd, struct messages all, struct refusals *refused) {
  for (size_t from = 0; from < all.size;) {
    size_t size = 0, count = 0;
    while (from + size < all.size && count < MAX_OPS) {
      size_t next = padded(message_at(all.bytes + from + size)->nlmsg_len);
      if (count > 0 && size + next > MAX_BYTES) break;
      size += next;
      count++;
    }
    send_all(fd, all.bytes + from, size);
    drain(fd, refused);
    from += size;
  }
}

static void through_tc(int fd, struct messages all, struct refusals *refused) {
  for (size_t from = 0; from < all.size;) {
    struct nlmsghdr *header = message_at(all.bytes + from);
    header->nlmsg_flags |= NLM_F_ECHO;
    send_all(fd, header, padded(header->nlmsg_len));
    size_t size = receive_now(fd);
    if (size == 0) DIE("message %u was not echoed\n", header->nlmsg_seq);
    note(refused, message_at(answers));
    from += padded(header->nlmsg_len);
  }
}

static void keep_first(struct messages *all, size_t count) {
  if (count < all->count) all->count = count;
  all->size = 0;
  for (size_t i = 0; i < all->count; i++) all->size += padded(message_at(all->bytes + all->size)->nlmsg_len);
}

int main(int argc, char **argv) {
  if (argc < 3) DIE("usage: ovs-way generic|route FILE [COUNT]\n");
  struct messages all = load(argv[2]);
  if (argc > 3) keep_first(&all, strtoul(argv[3], NULL, 10));
  struct refusals refused = {0, 0};
  int fd = open_socket(argv[1]);
  uint64_t start = now_ns();
  if (strcmp(argv[1], "route") == 0) through_tc(fd, all, &refused);
  else through_openvswitch(fd, all, &refused);
  uint64_t end = now_ns();
  printf("{\"messages\":%zu,\"ns\":%llu,\"failures\":%zu,\"errno\":%d,", all.count,
         (unsigned long long)(end - start), refused.count, refused.first);
  print_cpu();
  printf("}\n");
  return 0;
}
