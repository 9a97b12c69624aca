/* Runs a command on a disk whose flushes take longer:  slow MICROSECONDS COMMAND ARGS...
 *
 * The kernel tells of each fsync(2) and fdatasync(2) before it does anything (seccomp_unotify(2)), and goes on when it is told to. A tracer
 * like strace(1) is asked twice for each flush, and again whenever a thread begins and ends, one after the other: which slows down those who
 * flush many files at once, and not the disk. No privilege is needed. */
#define _GNU_SOURCE
#include <signal.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST 4096

static char **command;
static int listener;
static int told[2];

/* All take equally long, so they go on in the order in which they came. */
static struct flush {
  __u64 id;
  __s64 due;
} flushes[MOST];
static unsigned first, next;

static void fail(const char *what) {
  perror(what);
  exit(2);
}

/* Only the thread that begins the command has the filter, and so the command; the others could not answer themselves. */
static void *run(void *none) {
  struct sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fsync, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fdatasync, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog filter = {sizeof program / sizeof *program, program};
  int status;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) fail("prctl");
  listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
  if (listener < 0) fail("seccomp");
  if (write(told[1], "", 1) != 1) fail("write");
  pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    /* Without the one that answers its flushes would fail. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execvp(command[0], command);
    fail(command[0]);
  }
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) fail("waitpid");
  exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static __s64 now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void take(__s64 delay) {
  struct seccomp_notif notice;
  memset(&notice, 0, sizeof notice);
  if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notice)) {
    /* A signal has ended it. */
    if (errno == EINTR || errno == ENOENT) return;
    fail("SECCOMP_IOCTL_NOTIF_RECV");
  }
  flushes[next++ % MOST] = (struct flush){notice.id, now() + delay};
}

static void let_go(void) {
  struct seccomp_notif_resp answer = {.id = flushes[first++ % MOST].id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
  if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) && errno != ENOENT) fail("SECCOMP_IOCTL_NOTIF_SEND");
}

int main(int argc, char **argv) {
  pthread_t thread;
  char go;
  if (argc < 3) return 2;
  __s64 delay = atol(argv[1]) * 1000LL;
  command = argv + 2;
  if (pipe2(told, O_CLOEXEC)) fail("pipe2");
  if (pthread_create(&thread, NULL, run, NULL) || read(told[0], &go, 1) != 1) fail("pthread_create");
  /* A disk does not wait for a processor; where that is refused, this one may. */
  if (setpriority(PRIO_PROCESS, 0, -20)) errno = 0;
  prctl(PR_SET_TIMERSLACK, 1);
  for (;;) {
    __s64 left = 0;
    while (first != next && (left = flushes[first % MOST].due - now()) <= 0) let_go();
    struct timespec pause = {left / 1000000000, left % 1000000000};
    struct pollfd asked = {listener, next - first < MOST ? POLLIN : 0, 0};
    if (ppoll(&asked, 1, first == next ? NULL : &pause, NULL) > 0 && asked.revents & POLLIN) take(delay);
  }
}
