/* Runs a command on a kernel that refuses some calls, as older kernels, sandboxes and poorer file
 * systems do:  refuse CALL=ERRNO... -- COMMAND ARGS...  where CALL is
 *   tmpfile    openat(2) with O_TMPFILE
 *   exchange   renameat2(2) with RENAME_EXCHANGE
 *   linkat, renameat2, fsync, flock    the call of that name
 * By a seccomp filter: no privilege is needed, and nothing else is slowed down. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct sock_filter program[64];
static unsigned short length;

static void add(struct sock_filter instruction) { program[length++] = instruction; }

static int number_of(const char *call) {
  if (!strcmp(call, "tmpfile")) return SYS_openat;
  if (!strcmp(call, "exchange")) return SYS_renameat2;
  if (!strcmp(call, "linkat")) return SYS_linkat;
  if (!strcmp(call, "renameat2")) return SYS_renameat2;
  if (!strcmp(call, "fsync")) return SYS_fsync;
  if (!strcmp(call, "flock")) return SYS_flock;
  fprintf(stderr, "refuse: unknown call %s\n", call);
  exit(2);
}

int main(int argc, char **argv) {
  int i = 1;
  for (; i < argc && strcmp(argv[i], "--"); i++) {
    char *call = strtok(argv[i], "="), *error = strtok(NULL, "=");
    int is_tmpfile = !strcmp(call, "tmpfile"), is_exchange = !strcmp(call, "exchange");
    int by_flag = is_tmpfile || is_exchange;
    add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
    add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number_of(call), 0, by_flag ? 3 : 1));
    if (by_flag) {
      /* The low half of the third or fifth argument, on the little-endian machines that node runs on. */
      int flags = is_tmpfile ? 2 : 4, flag = is_tmpfile ? O_TMPFILE & ~O_DIRECTORY : 2;
      add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 8 * flags));
      add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, flag, 0, 1));
    }
    add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | atoi(error)));
  }
  add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  struct sock_fprog filter = {length, program};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) {
    perror("refuse");
    return 2;
  }
  execvp(argv[i + 1], argv + i + 1);
  perror(argv[i + 1]);
  return 2;
}
