/** All indexes below a directory, and what processes have left there. */

import { isUtf8 } from 'node:buffer'
import type { Dirent } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { dirname, join, normalize } from 'node:path'
import { type AtomicError, type KeptLeftover, sweep } from '@pipeline/atomic'
import { kinds, whyKept } from '../commands/sweep'
import { bytes, duration } from '../output'
import { type Finding, quoted } from './finding'
import { checkIndex, checkLines, type Wanted } from './index-file'

export interface Progress {
  signal: AbortSignal
  /** Is called with each file that was looked at. */
  onFile: () => void
}

/** Names that are not looked at: other programs' folders, and what is on its way. */
const PASSED = /^(node_modules|\.git|\.atomic)$|\.atomic-(tmp|old|txn|lost)$/

interface Entry {
  name: string
  type: 'file' | 'link' | 'directory' | 'other'
}

function typeOf(entry: Dirent<Buffer>): Entry['type'] {
  if (entry.isFile()) return 'file'
  if (entry.isSymbolicLink()) return 'link'
  return entry.isDirectory() ? 'directory' : 'other'
}

/** Links to directories are not followed. */
export async function* checkDirectory(
  directory: string,
  exclude: Set<string>,
  wanted: Wanted,
  progress: Progress,
): AsyncGenerator<Finding> {
  progress.signal.throwIfAborted()
  let all: Dirent<Buffer>[]
  try {
    all = await readdir(directory, { withFileTypes: true, encoding: 'buffer' })
  } catch (error) {
    const { code, message } = error as AtomicError
    yield { path: directory, level: 'problem', kind: 'unreadable', code, message }
    return
  }
  for (const { name } of all) if (!isUtf8(name)) yield* aboutUnnameable(directory, `${name}`)
  const entries = all
    .filter(({ name }) => isUtf8(name))
    .map((entry): Entry => ({ name: `${entry.name}`, type: typeOf(entry) }))
    .filter(({ name }) => !PASSED.test(name) && !exclude.has(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  const names = entries.map(({ name }) => name)
  for (const name of indexesIn(entries)) {
    progress.signal.throwIfAborted()
    yield* await checkIndex(join(directory, name), names, wanted)
    progress.onFile()
  }
  for (const entry of entries) {
    const path = join(directory, entry.name)
    if (entry.type === 'directory') yield* checkDirectory(path, exclude, wanted, progress)
    else if (entry.type === 'file') yield* aboutFile(path, entry.name)
    if (entry.type === 'file' && /\.(jsonl|ndjson)$/.test(entry.name)) progress.onFile()
  }
}

/** The command line has no way to name it. Whatever it is, somebody may count on it. */
function* aboutUnnameable(directory: string, name: string): Generator<Finding> {
  yield {
    ...{ path: join(directory, name), level: 'problem', kind: 'unreadable' },
    message: 'its name is not UTF-8, so it was not looked at',
    advice: 'rename it, or pass its directory over with --exclude',
  }
}

/** JSON files, and those that only a backup is left of. */
function indexesIn(entries: Entry[]): string[] {
  const files = entries.filter(({ type }) => type === 'file' || type === 'link').map(({ name }) => name)
  const indexes = files.filter((name) => name.endsWith('.json'))
  const lost = files.map((name) => /^(.+\.json)\.backup(\.\d+)?$/.exec(name)?.[1] ?? '').filter(Boolean)
  return [...new Set([...indexes, ...lost])].sort()
}

async function* aboutFile(path: string, name: string): AsyncGenerator<Finding> {
  if (/\.(jsonl|ndjson)$/.test(name)) yield* await checkLines(path)
  const aside = { path, level: 'note', kind: 'aside' } as const
  if (/\.corrupt-\d{8}T\d{6}Z/.test(name)) {
    yield {
      ...aside,
      message: 'a recovery has set it aside',
      advice: 'look for what is missing in the index, and remove it then',
    }
  }
  if (/\.torn-[0-9a-zA-Z]{16}$/.test(name)) {
    yield {
      ...aside,
      message: 'an append has set this part of a line aside',
      advice: 'look at it, and remove it',
    }
  }
}

/**
 * Locks, temp files and the like, as a sweep would find them. The mark of a transaction is no such thing: each process that has made
 * one leaves it, however it ends, and the next one takes it away.
 */
export async function checkLeftovers(directory: string, signal: AbortSignal): Promise<Finding[]> {
  const { removed, kept, errors } = await sweep(directory, { recursive: true, dryRun: true, signal })
  return [
    ...removed
      .filter(({ kind }) => kind !== 'mark')
      .map(
        ({ path, kind, size, age }): Finding => ({
          ...{ path: normalize(path), level: 'problem', kind: 'leftover' },
          message: `${kinds[kind]} of a killed process, ${bytes(size)}, ${duration(age)} old`,
          command: `atomic sweep ${quoted(dirname(normalize(path)))}`,
        }),
      ),
    ...kept.map(aboutKept),
    ...errors.map(
      ({ path = directory, code, message }): Finding => ({
        ...{ path, level: 'problem', kind: 'unreadable', code, message },
      }),
    ),
  ]
}

function aboutKept(leftover: KeptLeftover): Finding {
  const { kind, reason } = leftover
  const path = normalize(leftover.path)
  if (reason === 'in-use' && kind === 'lock') {
    return { path, level: 'note', kind: 'lock', message: `locked: ${whyKept(leftover)}` }
  }
  const level = reason === 'pending' || reason === 'only-copy' ? 'problem' : 'note'
  return { path, level, kind: 'leftover', message: `${kinds[kind]}: ${whyKept(leftover)}` }
}
