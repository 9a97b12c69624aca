// Thirty-two worker threads write and update without end, and are terminated while they do, again and again. The
// process must live, the files must be whole, and the next calls must succeed.

import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { atRest, descriptors, leaked, rest } from './rest.mjs'

const { atomicIndexUpdate, atomicWrite } = createRequire(import.meta.url)('../..')

const WORKERS = 32

const { FILES, SITE, increment, page } = createRequire(import.meta.url)('./worker.cjs')
const isWhole = (bytes) => bytes.equals(page(bytes.toString().split(';', 1)[0]))

async function terminateWorkers({ folder, rounds }) {
  mkdirSync(folder, { recursive: true })
  const acknowledged = new Int32Array(new SharedArrayBuffer(4))
  let before
  // No more rounds are wanted when the input ends.
  let isStopped = false
  process.stdin.on('end', () => {
    isStopped = true
  })
  process.stdin.resume()
  for (let round = 0; round < rounds && !isStopped; round++) {
    const workers = Array.from({ length: WORKERS }, (_, i) => {
      return new Worker(new URL('worker.cjs', import.meta.url), {
        workerData: { folder, id: round * WORKERS + i, acknowledged },
      })
    })
    const failures = workers.map((worker) => new Promise((_, reject) => worker.once('error', reject)))
    for (const failure of failures) failure.catch(() => {})
    let problem
    let harm
    try {
      await Promise.race([Promise.all(workers.map((worker) => online(worker))), ...failures])
      // Each worker at another moment, the first ones when the last have hardly begun.
      await Promise.all(workers.map((worker, i) => sleep(20 + ((i * 7) % 60)).then(() => worker.terminate())))
      await lookAround(folder, acknowledged, (round + 1) * WORKERS)
      if (!before) {
        await rest()
        before = descriptors()
      }
      const more = await leaked(before)
      holds('leftover', more.length === 0, `descriptors: ${more}`)
    } catch (error) {
      problem = error.message
      // Anything else is a call of the main thread that was rejected.
      harm = error.harm ?? 'stuck'
    }
    console.log(JSON.stringify({ check: `round ${round}`, count: WORKERS, problem, harm }))
  }
  console.log(JSON.stringify({ done: true, acknowledged: acknowledged[0] }))
  process.exit()
}

/** A terminated worker's directories are removed by a thread. */
const leftovers = (folder) => atRest(() => readdirSync(folder).filter((name) => name.startsWith('.')))

/** Throws what is counted in the column `harm`. */
function holds(harm, condition, message) {
  if (!condition) throw Object.assign(new Error(message), { harm })
}

const online = (worker) => new Promise((resolve) => worker.once('online', resolve))

async function lookAround(folder, acknowledged, most) {
  const names = readdirSync(folder)
  for (const name of names.filter((name) => name.startsWith('page-'))) {
    holds('torn', isWhole(readFileSync(join(folder, name))), name)
  }
  if (names.includes('site')) {
    const site = SITE.map((name) => readFileSync(join(folder, 'site', name), 'utf8'))
    holds('torn', new Set(site).size === 1, `site: ${site}`)
  }
  const atLeast = acknowledged[0]
  for (let i = 0; i < FILES; i++) await atomicWrite(join(folder, `page-${i}`), page('main'))
  await atomicIndexUpdate(join(folder, 'index.json'), increment, { timeout: 600_000 })
  Atomics.add(acknowledged, 0, 1)
  const { n } = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8'))
  // An update that was acknowledged is there; another one may be.
  holds('lost', n >= atLeast + 1, `${n} updates, ${atLeast} acknowledged before`)
  holds('torn', n <= acknowledged[0] + most, `${n} updates, more than were begun`)
  const left = await leftovers(folder)
  holds('leftover', left.length === 0, `${left}`)
}

await terminateWorkers(JSON.parse(process.argv[2]))
