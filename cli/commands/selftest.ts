import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { acquireIndexLock, type DirectoryTrait, inspectDirectory } from '@pipeline/atomic'
import type { Command } from 'commander'
import { shared, told } from '../options'
import { bytes, duration, named, type Output, type OutputOptions, table } from '../output'
import { run } from '../run'
import { inScratch } from '../scratch'

const AFTER = `
Everything is tried in a new folder in the directory, which is removed (after a
kill: atomic sweep). No program can find out whether a disk keeps what it says
is flushed: that takes cutting its power.

Examples:
  atomic selftest /srv/data
  atomic selftest . --json | jq '.traits[] | select(.value == false)'
`

/** A row of the table: what the package finds out, and what takes a second process. */
type Trait = DirectoryTrait | { name: 'locksBetweenProcesses'; value: boolean | null; means: string }

const labels: Record<Trait['name'], string> = {
  fileSystem: 'file system',
  device: 'device',
  durable: 'survives a power cut',
  flushTime: 'time of a flush',
  exclusiveCreate: 'exclusive create',
  renameOver: 'rename over a file',
  renameNoReplace: 'rename to a free name',
  exchange: 'exchange of two names',
  hardLinks: 'hard links',
  unnamedFiles: 'files without a name',
  directoryFlush: 'flush of a directory',
  locks: 'locks',
  locksBetweenProcesses: 'locks between processes',
  local: 'this machine only',
  deviceVerify: 'reading from the device',
  caseSensitive: 'case tells names apart',
  normalizationSensitive: 'é and e + ´ are two',
  modes: 'permissions',
  extendedAttributes: 'extended attributes',
  acls: 'ACLs',
  longestName: 'longest name',
}

export const selftest = (program: Command): Command =>
  shared(
    program
      .command('selftest')
      .description('Tells what a file system keeps, and what follows for data there.')
      .argument('<directory>', 'a directory on it'),
    told,
  )
    .addHelpText('after', AFTER)
    .action((directory: string, options: OutputOptions) =>
      run(options, async ({ out, signal }) => {
        const { path, traits } = await inspectDirectory(directory, { signal })
        const rows: Trait[] = []
        for (const trait of traits) {
          rows.push(trait)
          if (trait.name === 'locks')
            rows.push(await locksBetweenProcesses(path, trait.value === true, signal))
        }
        out.result(
          { path, traits: rows },
          out.colors.bold(named(path)),
          ...table(rows.map((trait) => [`  ${labels[trait.name]}`, shown(out, trait), trait.means])),
        )
        return 0
      }),
    )

function shown({ colors: { green, yellow, dim, bold } }: Output, { name, value }: Trait): string {
  if (value === null) return dim('?')
  if (name === 'flushTime') return bold(duration(value))
  if (name === 'longestName') return bold(bytes(value))
  if (typeof value === 'boolean') return value ? green('yes') : yellow('no')
  return bold(named(`${value}`))
}

/** This program holds a lock, and starts itself as a second process that tries to take it. */
async function locksBetweenProcesses(
  directory: string,
  hasLocks: boolean,
  signal: AbortSignal,
): Promise<Trait> {
  const name = 'locksBetweenProcesses'
  if (!hasLocks) return { name, value: null, means: 'Without locks there is nothing to try.' }
  return inScratch(directory, 'selftest', async (folder) => {
    const file = join(folder, 'index.json')
    const lock = await acquireIndexLock(file, { network: 'allow', signal })
    const second = ['update', file, '--set', 'n=1', '--timeout', '0', '--network', '--json']
    const child = spawn(process.execPath, [process.argv[1] ?? '', ...second], {
      stdio: ['ignore', 'pipe', 'ignore'],
      signal,
    })
    const [said] = await Promise.all([text(child.stdout), once(child, 'close')])
    await lock.release()
    if (said.includes('ERR_ATOMIC_LOCK_TIMEOUT')) {
      return { name, value: true, means: 'Processes that change an index wait for each other.' }
    }
    if (said.includes('"written":true')) {
      return {
        name,
        value: false,
        means: 'Two processes can lose updates of an index: keep indexes elsewhere.',
      }
    }
    return { name, value: null, means: 'A second process could not be started, or could not try it.' }
  })
}
