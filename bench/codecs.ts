// How much longer an update of an index takes with each ready codec than with plain JSON: a parse, and a print over the old text. The figures in the
// docs of the codecs are these: `tsx bench/codecs.ts`, with nothing else running.

import type { IndexCodec } from '@pipeline/atomic'
import { devalue } from '@pipeline/atomic/devalue'
import { jsonc } from '@pipeline/atomic/jsonc'
import { toml } from '@pipeline/atomic/toml'
import { yaml } from '@pipeline/atomic/yaml'

const RUNS = 5

const json: IndexCodec = { parse: JSON.parse, stringify: (value) => JSON.stringify(value, null, 2) }

/** Milliseconds that an update of one of `keys` keys takes, at best. */
function timeOf({ parse, stringify }: IndexCodec, keys: number) {
  const index = Object.fromEntries(
    Array.from({ length: keys }, (_, at) => [`some-key-name-${at}`, { at, title: `title ${at}` }]),
  )
  const text = stringify(index, undefined)
  const times = Array.from({ length: RUNS }, () => {
    const start = performance.now()
    const read = parse(text) as typeof index
    stringify({ ...read, 'some-key-name-5': { at: 0, title: 'new' } }, text)
    return performance.now() - start
  })
  return Math.min(...times)
}

for (const keys of [1_000, 3_000, 10_000]) {
  const plain = timeOf(json, keys)
  for (const [name, codec] of Object.entries({ jsonc, yaml, toml, devalue })) {
    const time = timeOf(codec, keys)
    console.log(`${keys} keys, ${name}: ${time.toFixed(0)} ms, ${(time / plain).toFixed(0)} times JSON`)
  }
}
