// What is written: sizes, how many writes are in flight, and whether the data is a Buffer or a string.

import type { Data } from './contenders'

export interface Case {
  title: string
  bytes: number
  /** Writes in flight, each to a file of its own. */
  atOnce: number
  /** Every write makes a new file; else it replaces one of the same size. */
  fresh: boolean
  data: Data
}

type Kind = 'Buffer' | 'string' | 'non-ASCII string'

const KiB = 1024
const MiB = 1024 * KiB
const sizes: [label: string, bytes: number][] = [
  ['1 KB', KiB],
  ['64 KB', 64 * KiB],
  ['1 MB', MiB],
  ['32 MB', 32 * MiB],
]

/** The cases whose title matches all of the words. */
export function selectCases(words: string[]): Case[] {
  return titles()
    .filter(({ title }) => words.every((word) => title.toLowerCase().includes(word.toLowerCase())))
    .map(({ kind, ...what }) => ({ ...what, data: makeData(what.bytes, kind) }))
}

/**
 * New files show what a writer costs. Replacing one costs every writer the same on top: the old one's blocks
 * are given back, which on a disk that is mounted with `discard` takes longer than all the rest. A string
 * differs from a Buffer in what it costs the JS thread.
 */
function titles() {
  const variants: [kind: Kind, fresh: boolean, atOnce: number][] = [
    ['Buffer', true, 1],
    ['Buffer', true, 16],
    ['string', true, 1],
    ['non-ASCII string', true, 1],
    ['Buffer', false, 1],
    ['Buffer', false, 16],
  ]
  return sizes.flatMap(([label, bytes]) =>
    variants
      .filter(([kind]) => kind !== 'non-ASCII string' || bytes === MiB)
      .map(([kind, fresh, atOnce]) => ({
        title: `${label} ${kind}, ${fresh ? 'new files' : 'replaced'}, ${atOnce === 1 ? 'one at a time' : `${atOnce} at once`}`,
        ...{ bytes, atOnce, fresh, kind },
      })),
  )
}

/** Records as a pipeline's index has them. V8 keeps ASCII with one byte a character, other text with two. */
function makeData(bytes: number, kind: Kind): Data {
  const word = kind === 'non-ASCII string' ? 'Žluťoučký kůň — 漢字' : 'a heading as any other'
  let record = 0
  let text = ''
  while (text.length < bytes)
    text += `{"slug":"post-${record++}","title":"${word}","wordCount":${record * 37}}\n`
  const buffer = Buffer.from(text).subarray(0, bytes)
  if (kind === 'Buffer') return buffer
  // Decoding makes one flat string; what was put together by `+` is a tree until somebody reads it.
  return buffer.toString('utf8').replace(/\uFFFD+$/, '')
}
