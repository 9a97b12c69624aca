/** One index, its backups and its lock; and one file of lines. */

import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import {
  type AtomicError,
  readIndex,
  readLines,
  type SkippedLine,
  type StandardSchema,
} from '@pipeline/atomic'
import { duration, plural, withoutAdvice } from '../output'
import { type Finding, quoted } from './finding'

export interface Wanted {
  schema: StandardSchema | undefined
  numbers: 'strict' | 'lossy' | 'exact'
}

const options = ({ schema, numbers }: Wanted) => ({ numbers, ...(schema && { schema }) })

/** `names`: those in its directory. */
export async function checkIndex(path: string, names: string[], wanted: Wanted): Promise<Finding[]> {
  const { findings, newest } = await checkBackups(path, names, wanted)
  const error = await failureOf(path, wanted)
  if (error) findings.unshift(broken(path, error, newest))
  return findings
}

async function failureOf(path: string, wanted: Wanted): Promise<AtomicError | undefined> {
  try {
    const { source } = await readIndex(path, options(wanted))
    if (source === 'file') return undefined
    return Object.assign(new Error(`ENOENT: the file is missing`), { code: 'ENOENT' })
  } catch (error) {
    return error as AtomicError
  }
}

function broken(path: string, error: AtomicError, newest: string | undefined): Finding {
  const { code, issues } = error
  const found = { path, kind: code === 'ENOENT' ? 'missing' : 'index', code } as const
  if (code === 'ERR_ATOMIC_LOSSY_INDEX') {
    return {
      ...found,
      level: 'problem',
      message: `its number ${error.literal} (line ${error.line}, column ${error.column}) is one that JavaScript would change`,
      advice: `make it a string, or update it with --numbers exact${'rawJSON' in JSON ? '' : ' (needs Node.js 22)'}`,
    }
  }
  const where = (issues ?? [])
    .slice(0, 3)
    .map(({ path = [], message }) => `${path.map(keyOf).join('.') || 'index'}: ${message}`)
  const message = where.length > 0 ? `it does not pass the schema: ${where.join('; ')}` : withoutAdvice(error)
  const isRecoverable =
    code === 'ENOENT' || code === 'EIO' || /^ERR_ATOMIC_(CORRUPT_INDEX|SCHEMA)$/.test(code)
  if (!isRecoverable) return { ...found, kind: 'unreadable', level: 'problem', message }
  const recover = `atomic recover ${quoted(path)}`
  const todo = newest
    ? { advice: `put ${newest} back`, command: recover }
    : {
        advice: `no backup is good: ${code === 'ENOENT' ? 'look at the name' : 'repair it by hand'}, or begin anew`,
        command: `${recover} --initial '{}'`,
      }
  return { ...found, level: 'problem', message, ...todo }
}

const keyOf = (step: PropertyKey | { key: PropertyKey }): string =>
  String(typeof step === 'object' ? step.key : step)

async function checkBackups(path: string, names: string[], wanted: Wanted) {
  const start = `${basename(path)}.backup`
  const generation = (name: string) => (name === start ? -1 : Number(name.slice(start.length + 1)))
  const backups = names
    .filter(
      (name) =>
        name === start || (name.startsWith(`${start}.`) && /^\d+$/.test(name.slice(start.length + 1))),
    )
    .sort((a, b) => generation(a) - generation(b))
  const findings: Finding[] = []
  const good: string[] = []
  for (const name of backups) {
    const backup = join(dirname(path), name)
    const error = await failureOf(backup, wanted)
    if (!error) good.push(name)
    else if (error.code !== 'ENOENT') {
      findings.push({
        ...{ path: backup, level: 'problem', kind: 'backup', code: error.code },
        message: `the backup is not good: ${withoutAdvice(error)}`,
        advice: 'atomic recover passes it over; remove it when you need nothing of it',
      })
    }
  }
  const [newest] = good
  if (newest) {
    const { mtimeMs } = await stat(join(dirname(path), newest))
    const age = duration(Math.max(Date.now() - mtimeMs, 0))
    findings.push({
      ...{ path, level: 'note', kind: 'backup' },
      message: `${plural(good.length, 'good backup')}, the newest written ${age} ago`,
    })
  }
  return { findings, newest }
}

/** Names in the directory of a file that is given by itself. */
export async function namesBeside(path: string): Promise<string[]> {
  return readdir(dirname(path)).catch(() => [])
}

export async function checkLines(path: string): Promise<Finding[]> {
  const skipped: SkippedLine[] = []
  let count = 0
  try {
    for await (const _ of readLines(path, {
      json: true,
      onTorn: (line) => (count++ < 3 ? skipped.push(line) : 0),
    })) {
      // Only what is skipped is of interest.
    }
  } catch (error) {
    const { code, message } = error as AtomicError
    return [{ path, level: 'problem', kind: 'unreadable', code, message }]
  }
  if (count === 0) return []
  const which = skipped.map(({ line, reason }) => `line ${line} (${reason})`).join(', ')
  return [
    {
      ...{ path, level: 'problem', kind: 'lines' },
      message: `${plural(count, 'line')} not whole: ${which}${count > skipped.length ? ', …' : ''}`,
      advice: 'readers of this package skip them; the next append sets an unfinished last line aside',
    },
  ]
}
