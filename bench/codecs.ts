// How much longer an update of an index takes with each ready codec than with plain JSON: a parse, and a print over the old text. All take turns,
// each run is compared with those of JSON before and after it, and what counts is the time of the processor: so it matters little what else the machine
// does. The figures in the docs of the codecs are the medians: `tsx bench/codecs.ts`.

import type { IndexCodec } from '@pipeline/atomic'
import { devalue } from '@pipeline/atomic/devalue'
import { jsonc } from '@pipeline/atomic/jsonc'
import { toml } from '@pipeline/atomic/toml'
import { yaml } from '@pipeline/atomic/yaml'

const ROUNDS = 6

const json: IndexCodec = { parse: JSON.parse, stringify: (value) => JSON.stringify(value, null, 2) }

/** Makes an update of `keys` keys, which returns how much of a processor's time it took. */
function updateOf({ parse, stringify }: IndexCodec, keys: number) {
  const index = Object.fromEntries(
    Array.from({ length: keys }, (_, at) => [`some-key-name-${at}`, { at, title: `title ${at}` }]),
  )
  const text = stringify(index, undefined)
  return () => {
    const start = process.cpuUsage()
    const read = parse(text) as typeof index
    stringify({ ...read, 'some-key-name-5': { at: 0, title: 'new' } }, text)
    const { user, system } = process.cpuUsage(start)
    return user + system
  }
}

function ratioTo(plain: () => number, update: () => number) {
  const before = plain()
  const time = update()
  return (2 * time) / (before + plain())
}

const round = (ratio = Number.NaN) => Number(ratio.toPrecision(2))

for (const keys of [1_000, 10_000]) {
  const plain = updateOf(json, keys)
  const updates = Object.entries({ jsonc, yaml, toml, devalue }).map(
    ([name, codec]) => [name, updateOf(codec, keys), [] as number[]] as const,
  )
  for (let at = 0; at < ROUNDS; at++) {
    for (const [, update, ratios] of updates) ratios.push(ratioTo(plain, update))
  }
  for (const [name, , ratios] of updates) {
    // The first run is compiled while it runs.
    const sorted = ratios.slice(1).sort((one, other) => one - other)
    const [least, median, most] = [sorted[0], sorted[sorted.length >> 1], sorted.at(-1)]
    console.log(`${keys} keys, ${name}: ${round(median)} times JSON (${round(least)} to ${round(most)})`)
  }
}
