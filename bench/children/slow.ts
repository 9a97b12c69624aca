// Children on a slower disk: each of their flushes takes longer.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { Child } from './child'

export const DELAY_MS = 2

// Some versions of libuv flush through io_uring, which neither way sees.
const env = { UV_USE_IO_URING: '0' }

/** Starts `script` under slow.c, which is compiled into `folder`. `undefined`: there is no compiler, or the system does not let it. */
export async function startSlow(script: string, folder: string): Promise<Child | undefined> {
  const slow = join(folder, 'slow')
  const compiled = spawnSync('cc', ['-O1', '-pthread', '-o', slow, join(__dirname, 'slow.c')])
  if (compiled.status !== 0 || spawnSync(slow, ['0', 'true']).status !== 0) return undefined
  return Child.start(script, { before: [slow, `${DELAY_MS * 1000}`], env })
}

/** Starts `script` under strace(1), which delays its flushes and lists them in `trace`, with the marks of its batches. `undefined`: strace is not there, or may not. */
export async function startTraced(script: string, trace: string): Promise<Child | undefined> {
  const strace = [
    'strace',
    ...['-f', '--seccomp-bpf', '-qq', '-o', trace, '-e', 'trace=fsync,fdatasync,/^mkdir', '-s', '300'],
    ...['-e', `inject=fsync,fdatasync:delay_enter=${DELAY_MS * 1000}`],
  ]
  if (spawnSync('strace', [...strace.slice(1), 'true']).status !== 0) return undefined
  return Child.start(script, { before: strace, env })
}
