// What is written: sizes, how many writes are in flight, and whether the data is a Buffer or a string.

import type { Data } from './contenders'

export interface Case {
  title: string
  bytes: number
  /** Writes in flight, each to a file of its own. */
  atOnce: number
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
    .map(({ title, bytes, atOnce, kind }) => ({ title, bytes, atOnce, data: makeData(bytes, kind) }))
}

/** A string differs from a Buffer in what it costs the JS thread: one at a time shows it. */
function titles() {
  const title = (label: string, kind: Kind, atOnce: number) =>
    `${label} ${kind}, ${atOnce === 1 ? 'one at a time' : `${atOnce} at once`}`
  return sizes.flatMap(([label, bytes]) => [
    { title: title(label, 'Buffer', 1), bytes, atOnce: 1, kind: 'Buffer' as Kind },
    { title: title(label, 'Buffer', 16), bytes, atOnce: 16, kind: 'Buffer' as Kind },
    { title: title(label, 'string', 1), bytes, atOnce: 1, kind: 'string' as Kind },
    ...(bytes === MiB
      ? [{ title: title(label, 'non-ASCII string', 1), bytes, atOnce: 1, kind: 'non-ASCII string' as Kind }]
      : []),
  ])
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
