// The steps of the commit protocol among the system calls of a trace.

import type { Call } from './trace'

export const isDirSync = (call: Pick<Call, 'name' | 'args'>, dir: string) =>
  call.name === 'fsync' && call.args.endsWith(`<${dir}>`)

/** The steps among the calls, in order, each as one word. */
export function steps(calls: Call[], dir: string): string[] {
  return calls.flatMap((call) => {
    const { name, args } = call
    if (isDirSync(call, dir)) return ['fsync folder']
    if (name === 'openat' && args.includes('O_TMPFILE')) return ['stage without a name']
    if (name === 'openat' && args.includes('O_EXCL')) return ['stage with a name']
    if (name === 'linkat') return [args.includes('atomic-tmp') ? 'link to a temp name' : 'link']
    if (name === 'renameat') return ['rename']
    if (name === 'renameat2') return [args.includes('RENAME_NOREPLACE') ? 'rename to a free name' : 'rename']
    if (['write', 'fsync', 'pread64', 'fchmod', 'fadvise64', 'flock'].includes(name)) return [name]
    return []
  })
}
