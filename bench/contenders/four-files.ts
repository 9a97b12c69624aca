// Contenders that change four files of 1 KB in two directories, or four rows: what is to change together.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { atomicIndexUpdate, atomicTransaction, atomicWrite } from '@pipeline/atomic'
import { type Guarantees, guarantee } from './guarantees'
import { change, type Index, makeIndex, writeIndex } from './index-file'

/** Changes the four files of a number; numbers that differ by `FOURS` have the same ones. */
type Change = (number: number) => Promise<unknown>

export interface FourFiles extends Guarantees {
  /** Prepares, also what only the first change of a process has to do. With `records`, three of the files are indexes that all numbers share. */
  open(folder: string, records?: number): Promise<Change>
}

/** As many fours of files as are changed at once. */
export const FOURS = 16

function names(number: number, records?: number): { texts: string[]; indexes: string[] } {
  const own = (name: string) => `${name}-${number % FOURS}.json`
  const posts = join('posts', own('first'))
  if (records)
    return { texts: [posts], indexes: ['a', 'b', 'c'].map((name) => join('lists', `${name}.json`)) }
  return {
    texts: [posts, join('posts', own('second')), join('lists', own('a')), join('lists', own('b'))],
    indexes: [],
  }
}

let changes = 0
/** Another text each time. */
const text = () => `${++changes}\n`.padStart(1024, 'a heading as any other\n')

async function prepared(folder: string, records: number | undefined, change: Change): Promise<Change> {
  for (const name of ['posts', 'lists']) await mkdir(join(folder, name), { recursive: true })
  if (records) for (const name of names(0, records).indexes) await writeIndex(join(folder, name), records)
  for (let number = 0; number < FOURS; number++) await change(number)
  return change
}

export const transaction: FourFiles = {
  ...guarantee('atomicTransaction', 'fsyncFile', 'fsyncDirectory', 'readBack', 'exclusion'),
  open: (folder, records) =>
    prepared(folder, records, (number) =>
      atomicTransaction(folder, (tx) => {
        const { texts, indexes } = names(number, records)
        for (const name of texts) tx.write(name, text())
        for (const name of indexes) tx.update<Index>(name, (index) => change(number)(index as Index))
      }),
    ),
}

/** The same without a transaction. */
function* each(folder: string, number: number, records?: number): Generator<() => Promise<unknown>> {
  const { texts, indexes } = names(number, records)
  for (const name of texts) yield () => atomicWrite(join(folder, name), text())
  for (const name of indexes)
    yield () =>
      atomicIndexUpdate<Index>(join(folder, name), (index) => change(number)(index as Index), {
        timeout: 600_000,
      })
}

export const writesInTurn: FourFiles = {
  ...guarantee('4 × atomicWrite, one after the other', 'fsyncFile', 'fsyncDirectory', 'readBack'),
  open: (folder, records) =>
    prepared(folder, records, async (number) => {
      for (const write of each(folder, number, records)) await write()
    }),
}

export const writesAtOnce: FourFiles = {
  ...guarantee('4 × atomicWrite, at once', 'fsyncFile', 'fsyncDirectory', 'readBack'),
  open: (folder, records) =>
    prepared(folder, records, (number) =>
      Promise.all([...each(folder, number, records)].map((write) => write())),
    ),
}

/** The part of better-sqlite3 that is used. It brings no types. */
interface Database {
  pragma(what: string): void
  exec(sql: string): void
  prepare(sql: string): { run(...values: unknown[]): void; get(...values: unknown[]): unknown }
  transaction<Args extends unknown[]>(run: (...args: Args) => void): (...args: Args) => void
}

const SQLITE = 'better-sqlite3'

/** One commit is one flush of the log. Its calls are synchronous, so those that are made at once run one after the other. */
const sqlite: FourFiles = {
  ...guarantee(SQLITE, 'fsyncFile', 'fsyncDirectory', 'exclusion'),
  async open(folder, records) {
    const { default: Sqlite }: { default: new (path: string) => Database } = await import(SQLITE)
    const database = new Sqlite(join(folder, 'rows.db'))
    database.pragma('journal_mode = WAL')
    database.pragma('synchronous = FULL')
    database.exec('CREATE TABLE rows (path TEXT PRIMARY KEY, content TEXT NOT NULL)')
    const put = database.prepare('INSERT OR REPLACE INTO rows VALUES (?, ?)')
    const find = database.prepare('SELECT content FROM rows WHERE path = ?')
    const run = database.transaction((number: number) => {
      const { texts, indexes } = names(number, records)
      for (const name of texts) put.run(name, text())
      for (const name of indexes) {
        const index = JSON.parse((find.get(name) as { content: string }).content)
        put.run(name, JSON.stringify(change(number)(index), null, 2))
      }
    })
    for (const name of names(0, records).indexes)
      put.run(name, JSON.stringify(makeIndex(records ?? 0), null, 2))
    return prepared(folder, records, async (number) => run(number))
  },
}

/** The subject first. It compiles C++ where there is no binary of it, so it is no development dependency: `npm i --no-save better-sqlite3`. */
export const fourFiles: FourFiles[] = [
  transaction,
  writesInTurn,
  writesAtOnce,
  ...(isInstalled(SQLITE) ? [sqlite] : []),
]

function isInstalled(name: string): boolean {
  try {
    return require.resolve(name) !== ''
  } catch {
    return false
  }
}
