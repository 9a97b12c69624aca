import { relative } from 'node:path'
import type { SweepResult } from '@pipeline/atomic'

/** What a holder that is dead by now has written into its lock. */
export const RECORD = `4194304 ${Date.now()} elsewhere\n`

/** What a sweep has told, by path: what was removed is `removed`, what stays has its reason. */
export function told(dir: string, { removed, kept }: SweepResult): Record<string, string> {
  const rows: [string, string][] = [
    ...removed.map(({ path, kind }): [string, string] => [path, `${kind} removed`]),
    ...kept.map(({ path, kind, reason }): [string, string] => [path, `${kind} ${reason}`]),
  ]
  return Object.fromEntries(rows.map(([path, what]) => [relative(dir, path), what]))
}
