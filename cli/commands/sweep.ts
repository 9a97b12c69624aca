import { normalize } from 'node:path'
import {
  type KeptLeftover,
  type KeptReason,
  type Leftover,
  type LeftoverKind,
  sweep as sweepDirectory,
} from '@pipeline/atomic'
import type { Command } from 'commander'
import { parseDuration, shared, told } from '../options'
import { bytes, duration, named, type OutputOptions, plural, table } from '../output'
import { EXIT_FAILED, run } from '../run'

const AFTER = `
What a living process has is never touched, in whatever container it is: locks
of the system tell, not process ids. Backups and files named .corrupt- and
.torn- are yours, and stay. Exits with 1 if something could not be looked at or
removed; what a dry run finds is no failure.

Examples:
  atomic sweep content --recursive --dry-run
  atomic sweep /srv/data -r --older-than 1h
`

interface Options extends OutputOptions {
  recursive?: boolean
  olderThan?: number
  dryRun?: boolean
}

export const sweep = (program: Command): Command =>
  shared(
    program
      .command('sweep')
      .description('Removes what killed processes have left: temp files, locks, half-built directories.')
      .argument('<directory>', 'where to look')
      .option('-r, --recursive', 'look in the directories below, too')
      .option(
        '--older-than <time>',
        'keep what was changed since: 30s, 1h, 7d; a number alone is milliseconds',
        parseDuration,
      )
      .option('-n, --dry-run', 'remove nothing, and tell what would be removed'),
    told,
  )
    .addHelpText('after', AFTER)
    .action((directory: string, { json, quiet, dryRun = false, ...options }: Options) =>
      run({ ...(json && { json }), ...(quiet && { quiet }) }, async ({ out, signal }) => {
        const result = await sweepDirectory(directory, { ...options, dryRun, signal })
        const { removed, kept, errors, mounts } = result
        const { green, yellow, red } = out.colors
        const size = bytes(removed.reduce((sum, one) => sum + one.size, 0))
        const verb = dryRun ? yellow('would remove') : green('removed')
        out.result(
          { directory, dryRun, ...result },
          ...list([
            ...removed.map((one) => [verb, one] as const),
            ...kept.map((one) => [yellow('kept'), one] as const),
          ]),
          ...table(errors.map((error) => [red('not looked at'), named(error.message)])),
          ...table(
            mounts.map((path) => [
              yellow('not entered'),
              `${named(path)}: another file system is mounted there`,
            ]),
          ),
          `${verb} ${plural(removed.length, 'leftover')} (${size}), kept ${kept.length}, in ${plural(result.directories, 'directory', 'directories')}`,
        )
        const failed = errors.length > 0 || kept.some(({ reason }) => reason === 'failed')
        return failed ? EXIT_FAILED : 0
      }),
    )

export const kinds: Record<LeftoverKind, string> = {
  temp: 'temp file',
  tree: 'half-built directory',
  lock: 'lock file',
  staged: 'file of a transaction',
  mark: 'mark of a transaction',
  journal: 'journal of a transaction',
  previous: 'replaced directory',
  lost: 'file that a transaction could not write',
}

const reasons: Record<Exclude<KeptReason, 'failed'>, string> = {
  'in-use': 'a living process has it',
  recent: 'it was changed since --older-than',
  pending: 'its transaction was interrupted: run atomic recover for its root first',
  'only-copy': 'it may be the only copy: look at it, and remove it or put it in its place',
  undecided: 'nothing tells whether a living process has it: remove it when no program runs there',
  'not-yours': 'it belongs to another user: sweep as that one',
}

/** A line for each, so that its path can be copied, and below it why it is kept. */
function list(found: (readonly [verb: string, one: Leftover | KeptLeftover])[]): string[] {
  const rows = found.map(([verb, { path, kind, size, age }]) => [
    ...[verb, kinds[kind], bytes(size), `${duration(age)} old`],
    named(normalize(path)),
  ])
  const lines = table(rows, Number.POSITIVE_INFINITY)
  return found.flatMap(([, one], at) => [
    lines[at] ?? '',
    ...('reason' in one ? table([['     ', whyKept(one)]]) : []),
  ])
}

export function whyKept({ reason, holder, error }: KeptLeftover): string {
  if (reason === 'failed') return named(error?.message ?? 'it could not be removed')
  return reason === 'in-use' && holder ? heldBy(holder) : reasons[reason]
}

export const heldBy = ({ pid, host, since }: NonNullable<KeptLeftover['holder']>): string =>
  `process ${pid} on ${named(host)} has it for ${duration(Math.max(Date.now() - since.getTime(), 0))}`
