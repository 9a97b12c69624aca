// Recovers one root after the other: a line with a path for each, and a line of JSON with what came of it.
//
// node recover.mjs

import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const { recover } = createRequire(import.meta.url)('../..')

for await (const root of createInterface({ input: process.stdin })) {
  const { outcome, files, code, message } = await recover(root).catch((error) => error)
  const left = files?.filter(({ action }) => ['lost', 'superseded'].includes(action))
  console.log(JSON.stringify({ outcome: outcome ?? null, left, code, message }))
}
