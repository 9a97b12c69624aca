// Contenders that change four files of 1 KB in two directories, or four rows: what is to change together.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { atomicTransaction, atomicWrite } from '@pipeline/atomic'
import { type Guarantees, guarantee } from './guarantees'

/** Changes the four files of a number; numbers that differ by this have the same ones. */
type Change = (number: number) => Promise<unknown>

export interface FourFiles extends Guarantees {
  /** Prepares, also what only the first change of a process has to do. */
  open(folder: string): Promise<Change>
}

/** As many fours of files as are changed at once. */
export const FOURS = 16

const names = (number: number) =>
  ['posts', 'posts', 'lists', 'lists'].map((folder, file) => join(folder, `${number % FOURS}-${file}.json`))

let changes = 0
/** Another text each time. */
const text = () => `${++changes}\n`.padStart(1024, 'a heading as any other\n')

async function prepared(folder: string, change: Change): Promise<Change> {
  for (const name of ['posts', 'lists']) await mkdir(join(folder, name), { recursive: true })
  for (let number = 0; number < FOURS; number++) await change(number)
  return change
}

export const transaction: FourFiles = {
  ...guarantee('atomicTransaction', 'fsyncFile', 'fsyncDirectory', 'readBack', 'exclusion'),
  open: (folder) =>
    prepared(folder, (number) =>
      atomicTransaction(folder, (tx) => {
        for (const name of names(number)) tx.write(name, text())
      }),
    ),
}

export const writesInTurn: FourFiles = {
  ...guarantee('4 × atomicWrite, one after the other', 'fsyncFile', 'fsyncDirectory', 'readBack'),
  open: (folder) =>
    prepared(folder, async (number) => {
      for (const name of names(number)) await atomicWrite(join(folder, name), text())
    }),
}

export const writesAtOnce: FourFiles = {
  ...guarantee('4 × atomicWrite, at once', 'fsyncFile', 'fsyncDirectory', 'readBack'),
  open: (folder) =>
    prepared(folder, (number) =>
      Promise.all(names(number).map((name) => atomicWrite(join(folder, name), text()))),
    ),
}

/** The part of better-sqlite3 that is used. It brings no types. */
interface Database {
  pragma(what: string): void
  exec(sql: string): void
  prepare(sql: string): { run(...values: unknown[]): void }
  transaction<Args extends unknown[]>(run: (...args: Args) => void): (...args: Args) => void
}

const SQLITE = 'better-sqlite3'

/** One commit is one flush of the log. Its calls are synchronous, so those that are made at once run one after the other. */
const sqlite: FourFiles = {
  ...guarantee(SQLITE, 'fsyncFile', 'fsyncDirectory', 'exclusion'),
  async open(folder) {
    const { default: Sqlite }: { default: new (path: string) => Database } = await import(SQLITE)
    const database = new Sqlite(join(folder, 'rows.db'))
    database.pragma('journal_mode = WAL')
    database.pragma('synchronous = FULL')
    database.exec('CREATE TABLE rows (path TEXT PRIMARY KEY, content TEXT NOT NULL)')
    const put = database.prepare('INSERT OR REPLACE INTO rows VALUES (?, ?)')
    const change = database.transaction((number: number) => {
      for (const name of names(number)) put.run(name, text())
    })
    return prepared(folder, async (number) => change(number))
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
