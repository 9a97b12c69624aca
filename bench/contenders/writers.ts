// Contenders that write files. Their guarantees are read from their sources: the three packages that flush do so by
// default, none of them flushes the directory, and none reads back.

import { atomicWrite } from '@pipeline/atomic'
import { writeFile as atomically } from 'atomically'
import fastWriteAtomic from 'fast-write-atomic'
import { Writer as Steno } from 'steno'
import writeFileAtomic from 'write-file-atomic'
import { formerWrite } from './former'
import { type Guarantees, guarantee } from './guarantees'
import { writeAsUsual, writeTuned } from './protocol'

export type Data = string | Buffer

export interface Writer extends Guarantees {
  write(path: string, data: Data): Promise<unknown>
}

export const atomicWriter: Writer = {
  ...guarantee('atomicWrite', 'fsyncFile', 'fsyncDirectory', 'readBack'),
  write: (path, data) => atomicWrite(path, data),
}

export const sameGuarantees: Writer = {
  ...guarantee('fs/promises', 'fsyncFile', 'fsyncDirectory', 'readBack'),
  write: writeAsUsual,
}

export const writeFileAtomicWriter: Writer = {
  ...guarantee('write-file-atomic', 'fsyncFile'),
  write: (path, data) => writeFileAtomic(path, data, { fsync: true }),
}

export const atomicallyWriter: Writer = {
  ...guarantee('atomically', 'fsyncFile'),
  write: (path, data) => atomically(path, data, { fsync: true, fsyncWait: true }),
}

export const formerWriter: Writer = { ...guarantee('former routine', 'readBack'), write: formerWrite }

/** The subject first. */
export const writers: Writer[] = [
  atomicWriter,
  sameGuarantees,
  {
    ...guarantee('fs/promises, tuned', 'fsyncFile', 'fsyncDirectory', 'readBack'),
    write: writeTuned,
  },
  writeFileAtomicWriter,
  atomicallyWriter,
  {
    ...guarantee('fast-write-atomic', 'fsyncFile'),
    write: (path, data) => fastWriteAtomic.promise(path, data),
  },
  // A writer a file, as lowdb uses it.
  { ...guarantee('steno'), write: (path, data) => new Steno(path).write(data) },
  formerWriter,
]
