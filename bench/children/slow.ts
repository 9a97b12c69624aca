// A child on a slower disk: strace(1) delays each of its flushes, and lists them.

import { spawnSync } from 'node:child_process'
import { Child } from './child'

export const DELAY_MS = 2

/** Starts `script`. Its flushes and the marks of its batches are listed in `trace`. `undefined`: strace is not there, or may not. */
export async function startSlow(script: string, trace: string): Promise<Child | undefined> {
  const strace = [
    'strace',
    ...['-f', '--seccomp-bpf', '-qq', '-o', trace, '-e', 'trace=fsync,fdatasync,/^mkdir', '-s', '300'],
    ...['-e', `inject=fsync,fdatasync:delay_enter=${DELAY_MS * 1000}`],
  ]
  if (spawnSync('strace', [...strace.slice(1), 'true']).status !== 0) return undefined
  // Some versions of libuv flush through io_uring, which strace does not see.
  return Child.start(script, { before: strace, env: { UV_USE_IO_URING: '0' } })
}
