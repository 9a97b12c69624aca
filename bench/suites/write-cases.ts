// What is written: sizes, how many writes are in flight, whether files are new, and what the data is.

import type { Data } from '../contenders/writers'

export interface WriteCase {
  title: string
  section: 'new' | 'replaced' | 'strings'
  bytes: number
  /** Writes in flight, each to a file of its own. */
  atOnce: number
  /** Every write makes a new file; else it replaces one of the same size. */
  fresh: boolean
  kind: 'Buffer' | 'string' | 'non-ASCII string'
}

export const KiB = 1024
export const MiB = 1024 * KiB
const sizes: [label: string, bytes: number, atOnce: number[]][] = [
  ['1 KB', KiB, [1, 16, 64]],
  ['64 KB', 64 * KiB, [1, 16, 64]],
  ['1 MB', MiB, [1, 16]],
  ['32 MB', 32 * MiB, [1, 16]],
]

/**
 * New files show what a writer costs. Replacing a file costs every writer the same in addition: the blocks of the old
 * file are freed, which takes longer than all the rest on a disk that is mounted with `discard`. A string differs from
 * a Buffer in what it costs the JS thread.
 */
export const writeCases: WriteCase[] = [
  ...sizes.flatMap(([label, bytes, counts]) =>
    counts.flatMap((atOnce): WriteCase[] => [
      { title: `${label} × ${atOnce}`, section: 'new', fresh: true, bytes, atOnce, kind: 'Buffer' },
      { title: `${label} × ${atOnce}`, section: 'replaced', fresh: false, bytes, atOnce, kind: 'Buffer' },
    ]),
  ),
  ...sizes.map(
    ([label, bytes]): WriteCase => ({
      title: `${label} string`,
      section: 'strings',
      fresh: true,
      bytes,
      atOnce: 1,
      kind: 'string',
    }),
  ),
  {
    title: '1 MB non-ASCII string',
    section: 'strings',
    fresh: true,
    bytes: MiB,
    atOnce: 1,
    kind: 'non-ASCII string',
  },
]

/** Records as a pipeline's index has them. V8 keeps ASCII with one byte a character, other text with two. */
export function makeData({ bytes, kind }: WriteCase): Data {
  const word = kind === 'non-ASCII string' ? 'Žluťoučký kůň — 漢字' : 'a heading as any other'
  let record = 0
  let text = ''
  while (text.length < bytes)
    text += `{"slug":"post-${record++}","title":"${word}","wordCount":${record * 37}}\n`
  const buffer = Buffer.from(text).subarray(0, bytes)
  if (kind === 'Buffer') return buffer
  // Decoding makes one flat string; concatenation by `+` makes a tree that is only joined at the first read.
  return buffer.toString('utf8').replace(/\uFFFD+$/, '')
}
