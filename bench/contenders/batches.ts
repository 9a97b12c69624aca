// Contenders that write many files in one go, as the build of a site does.

import { writeFile } from 'node:fs/promises'
import { atomicWrite, atomicWriteAll, type WriteAllOptions } from '@pipeline/atomic'
import { type Guarantees, guarantee } from './guarantees'
import { atomicallyWriter, formerWriter, sameGuarantees, type Writer, writeFileAtomicWriter } from './writers'

export interface Entry {
  path: string
  data: string | Buffer
}

export interface BatchWriter extends Guarantees {
  writeAll(entries: Entry[]): Promise<unknown>
}

const together = (options?: WriteAllOptions) => (entries: Entry[]) => atomicWriteAll(entries, options)

const atOnce =
  (write: Writer['write']) =>
  (entries: Entry[]): Promise<unknown> =>
    Promise.all(entries.map(({ path, data }) => write(path, data)))

const inTurn = (write: Writer['write']) => async (entries: Entry[]) => {
  for (const { path, data } of entries) await write(path, data)
}

/** One barrier for all, with everything on. */
export const allWriter: BatchWriter = {
  ...guarantee('atomicWriteAll', 'fsyncFile', 'fsyncDirectory', 'readBack'),
  writeAll: together(),
}

/** For the comparison with writes that flush nothing. */
export const allUnflushedWriter: BatchWriter = {
  ...guarantee('atomicWriteAll, flush: false', 'readBack'),
  writeAll: together({ flush: false }),
}

export const singlyWriter: BatchWriter = {
  ...guarantee('atomicWrite, one after the other', 'fsyncFile', 'fsyncDirectory', 'readBack'),
  writeAll: inTurn((path, data) => atomicWrite(path, data)),
}

export const usualWriter: BatchWriter = { ...guarantee('fs.writeFile'), writeAll: inTurn(writeFile) }

/** The subject first. */
export const batchWriters: BatchWriter[] = [
  allWriter,
  allUnflushedWriter,
  {
    ...guarantee('atomicWrite, all at once', 'fsyncFile', 'fsyncDirectory', 'readBack'),
    writeAll: atOnce((path, data) => atomicWrite(path, data)),
  },
  singlyWriter,
  {
    ...guarantee('fs/promises, all at once', 'fsyncFile', 'fsyncDirectory', 'readBack'),
    writeAll: atOnce(sameGuarantees.write),
  },
  {
    ...guarantee('write-file-atomic, all at once', 'fsyncFile'),
    writeAll: atOnce(writeFileAtomicWriter.write),
  },
  { ...guarantee('atomically, all at once', 'fsyncFile'), writeAll: atOnce(atomicallyWriter.write) },
  { ...guarantee('former routine, all at once', 'readBack'), writeAll: atOnce(formerWriter.write) },
  { ...guarantee('fs.writeFile, all at once'), writeAll: atOnce(writeFile) },
  usualWriter,
]
