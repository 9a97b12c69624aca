// Thirty-two worker threads write and update without an end, and are terminated in the middle of it, again and
// again. The process must live, the files must be whole, and the next calls must find nothing in their way.

import { mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'

const { atomicIndexUpdate, atomicWrite } = createRequire(import.meta.url)('../..')

const WORKERS = 32

const { FILES, SITE, increment, page } = createRequire(import.meta.url)('./worker.cjs')
const isWhole = (bytes) => bytes.equals(page(bytes.toString().split(';', 1)[0]))

async function terminateWorkers({ folder, rounds }) {
  mkdirSync(folder, { recursive: true })
  const acknowledged = new Int32Array(new SharedArrayBuffer(4))
  let before
  for (let round = 0; round < rounds; round++) {
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
      await Promise.race([lookAround(folder, acknowledged, (round + 1) * WORKERS), timeOut(10_000)])
      before ??= await settled()
      const more = await leaked(before)
      holds('leftover', more.length === 0, `descriptors: ${more}`)
    } catch (error) {
      problem = error.message
      // A call of the main thread that was rejected.
      harm = error.harm ?? 'stuck'
    }
    console.log(JSON.stringify({ check: `round ${round}`, count: WORKERS, problem, harm }))
  }
  console.log(JSON.stringify({ done: true, acknowledged: acknowledged[0] }))
  process.exit()
}

/** What every open descriptor stands for, but for the one that lists the others; some may be open twice. */
function open() {
  const counts = new Map()
  for (const fd of readdirSync('/proc/self/fd')) {
    let link
    try {
      link = readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      continue
    }
    counts.set(link, (counts.get(link) ?? 0) + 1)
  }
  return counts
}

/** The library's own threads let go of a folder or of a replaced file after the answer: they get a moment. */
const MOMENTS = 20
const moment = () => sleep(10)

async function settled() {
  for (let i = 0; i < MOMENTS; i++) await moment()
  return open()
}

/** What stays open and was not before. */
async function leaked(before) {
  for (let i = 0; ; i++) {
    const more = [...open()].filter(([link, count]) => count > (before.get(link) ?? 0))
    if (more.length === 0 || i === MOMENTS) return more.map(([link]) => link)
    await moment()
  }
}

/** A terminated worker's directories are removed by a thread. */
async function leftovers(folder) {
  for (let i = 0; ; i++) {
    const left = readdirSync(folder).filter((name) => name.startsWith('.'))
    if (left.length === 0 || i === MOMENTS) return left
    await moment()
  }
}

/** Throws what is counted in the column `harm`. */
function holds(harm, condition, message) {
  if (!condition) throw Object.assign(new Error(message), { harm })
}

const online = (worker) => new Promise((resolve) => worker.once('online', resolve))

async function timeOut(ms) {
  await sleep(ms, undefined, { ref: false })
  holds('stuck', false, 'the next calls hang')
}

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
  await atomicIndexUpdate(join(folder, 'index.json'), increment, { timeout: 8000 })
  Atomics.add(acknowledged, 0, 1)
  const { n } = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8'))
  // What a worker was told is there; what it was not told may be.
  holds('lost', n >= atLeast + 1, `${n} updates, ${atLeast} acknowledged before`)
  holds('torn', n <= acknowledged[0] + most, `${n} updates, more than were begun`)
  const left = await leftovers(folder)
  holds('leftover', left.length === 0, `${left}`)
}

await terminateWorkers(JSON.parse(process.argv[2]))
