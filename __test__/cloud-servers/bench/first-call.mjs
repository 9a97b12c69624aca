// `node first-call.mjs PACKAGE URL ENDPOINT`: reads an object that is not there time and again, and prints how long the first
// read took beyond the median of the later ones, by the clock and of the processors: other work of the machine counts in the
// former only. Each is one request and one reply, so what is left is not the network's.

import { createRequire } from 'node:module'
import { join } from 'node:path'

const [addon = '', url, endpoint] = process.argv.slice(2)
const require = createRequire(join(addon, 'index.js'))

const begin = performance.now()
const { readIndex } = require(addon)
require('@pipeline/atomic-cloud')
const load = performance.now() - begin

/** Of this process, in milliseconds. */
const processors = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

const took = []
const worked = []
for (let call = 0; call < 30; call++) {
  const [since, before] = [performance.now(), processors()]
  await readIndex(url, { endpoint })
  took.push(performance.now() - since)
  worked.push(processors() - before)
}

/** By how much the first exceeds the median of the others, and that median. */
function compare(/** @type {number[]} */ times) {
  const [first = 0, ...others] = times
  const median = others.sort((a, b) => a - b)[others.length >> 1] ?? 0
  return { beyond: first - median, median }
}

const clock = compare(took)
console.log(JSON.stringify({ load, first: clock.beyond, work: compare(worked).beyond, later: clock.median }))
