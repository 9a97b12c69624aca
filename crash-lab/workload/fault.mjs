// Calls under a fault, each judged at once: a line of JSON for each call, with `problem` if a promise was broken.
//
// node fault.mjs short FOLDER          no file may become larger than the limit of this process
// node fault.mjs lossy FOLDER          the drive loses pages that start with MARK
// node fault.mjs patched FOLDER        some of the patches that are made at once fail, and somebody replaces the index before
// node fault.mjs update UPDATES PROCESSES NUMBER FOLDER  one of several processes that update an index, so often
// node fault.mjs count UPDATES PROCESSES FOLDER          which of their updates are there

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const { appendLines, atomicIndexPatch, atomicIndexUpdate, atomicWrite } = createRequire(import.meta.url)(
  '../..',
)
const MARK = 'THE DRIVE LOSES THIS PAGE'
const [fault, ...rest] = process.argv.slice(2)
const folder = rest.at(-1) ?? '.'

/** Replaces an old file. If the call resolves the new bytes must be there, and if it rejects the old ones. */
async function judge(/** @type {Buffer} */ data, /** @type {object} */ options, reread = readFileSync) {
  const path = join(folder, 'target')
  const old = Buffer.from('the old version')
  writeFileSync(path, old, { flush: true })
  const outcome = await atomicWrite(path, data, options).catch((error) => error)
  const failed = outcome instanceof Error
  const found = reread(path)
  const right = found.equals(failed ? old : data)
  const said = failed ? outcome.code : JSON.stringify(outcome)
  const harm = failed ? 'false-failure' : 'false-success'
  console.log(JSON.stringify(right ? {} : { problem: `${said}, but ${found.length} bytes are there`, harm }))
}

/** Appends to a file that ends in a part of a line. If the call rejects nothing of its line may be there. */
async function judgeLine(
  /** @type {number} */ length,
  /** @type {string} */ torn,
  /** @type {object} */ options,
) {
  for (const name of readdirSync(folder).filter((name) => name.startsWith('lines')))
    rmSync(join(folder, name))
  const path = join(folder, 'lines')
  const old = `${'old '.repeat(12_500)}\n`
  writeFileSync(path, old + torn, { flush: true })
  const line = 'n'.repeat(length)
  const outcome = await appendLines(path, line, options).catch((error) => error)
  const failed = outcome instanceof Error
  const found = readFileSync(path, 'utf8')
  const aside = readdirSync(folder).filter((name) => name.startsWith('lines.torn-'))
  const kept =
    torn === '' ? aside.length === 0 : aside.some((name) => readFileSync(join(folder, name), 'utf8') === torn)
  const right = found === (failed ? old : `${old}${line}\n`) && kept
  const problem = `${failed ? outcome.code : JSON.stringify(outcome)}, but ${found.length} bytes are there, aside ${aside}`
  console.log(JSON.stringify(right ? {} : { problem, harm: 'torn' }))
}

/** Patches at once, every third of which fails in its second step. Each that resolves must be there, and of one that rejects nothing may be. */
async function judgePatches(/** @type {number} */ round) {
  const path = join(folder, 'patched.json')
  const old = { n: 0, done: [], round: -1, pad: 'x'.repeat(5000) }
  writeFileSync(path, JSON.stringify(old))
  await atomicIndexPatch(path, { increment: { '/n': 1 } })
  // What the library has of the index is not what is there any more.
  writeFileSync(`${path}.new`, JSON.stringify({ ...old, n: 1, round }))
  renameSync(`${path}.new`, path)
  const failing = [
    { op: 'add', path: '/left', value: round },
    { op: 'test', path: '/n', value: -1 },
  ]
  const patch = (/** @type {number} */ id) =>
    id % 3 === 2 ? failing : { increment: { '/n': 1 }, append: { '/done': [id] } }
  const ids = Array.from({ length: 12 }, (_, id) => id)
  const outcomes = await Promise.allSettled(ids.map((id) => atomicIndexPatch(path, patch(id))))
  const found = JSON.parse(readFileSync(path, 'utf8'))
  const done = ids.filter((id) => outcomes[id].status === 'fulfilled')
  const say = (/** @type {string} */ problem, /** @type {string} */ harm) =>
    console.log(JSON.stringify({ problem: `${problem}: ${JSON.stringify({ ...found, pad: '' })}`, harm }))
  if (done.some((id) => id % 3 === 2)) return say('a patch that does not fit resolved', 'false-success')
  if (done.length !== 8) return say('a patch that fits rejected', 'false-failure')
  if (found.round !== round) return say('what somebody has written is gone', 'lost')
  if ('left' in found) return say('a patch that failed is there in part', 'torn')
  if (`${found.done}` !== `${done}` || found.n !== 9) return say('a patch that resolved is not there', 'lost')
  console.log('{}')
}

/** From the drive, the caches having been dropped. */
function fromDrive(/** @type {string} */ path) {
  execFileSync('sync', ['-f', path])
  writeFileSync('/proc/sys/vm/drop_caches', '1')
  try {
    return readFileSync(path)
  } catch (error) {
    // btrfs detects the loss by its checksum.
    return Buffer.from(`${error}`)
  }
}

if (fault === 'short') {
  for (const length of [1, 50_000, 99_999, 100_000, 100_001, 150_000, 200_000, 5_000_000]) {
    await judge(Buffer.alloc(length, 'a'), { verify: false })
    await judge(Buffer.alloc(length, 'b'), { verify: true })
  }
  for (const torn of ['', 'half a li']) {
    for (const length of [1, 49_998, 49_999, 70_000, 200_000])
      await judgeLine(length, torn, { verify: false })
  }
} else if (fault === 'lossy') {
  for (const pages of [1, 3, 16, 80]) {
    for (const lost of new Set([0, pages >> 1, pages - 1])) {
      const data = Buffer.alloc(pages * 4096, `${pages} ${lost} `)
      await judge(data, { verify: 'device' }, fromDrive)
      data.write(MARK, lost * 4096)
      await judge(data, { verify: 'device' }, fromDrive)
    }
  }
} else if (fault === 'patched') {
  for (let round = 0; round < 20; round++) await judgePatches(round)
} else if (fault === 'update') {
  const [updates, processes, number] = rest.map(Number)
  // A process that ends before the next has started shows nothing.
  writeFileSync(join(folder, `ready-${number}`), '')
  const ready = () => readdirSync(folder).filter((name) => name.startsWith('ready-')).length
  while (ready() < processes) {
    await sleep(2)
  }
  for (let i = 0; i < updates; i++) {
    await atomicIndexUpdate(join(folder, 'index.json'), (index) => ({ ...index, [`${number}-${i}`]: i }), {
      initial: {},
      flush: false,
      timeout: 600_000,
    })
  }
} else if (fault === 'count') {
  const index = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8'))
  const [updates, processes] = rest.map(Number)
  for (let number = 0; number < processes; number++) {
    for (let i = 0; i < updates; i++) {
      const lost = index[`${number}-${i}`] !== i
      console.log(JSON.stringify(lost ? { problem: `update ${i} of process ${number}`, harm: 'lost' } : {}))
    }
  }
} else {
  throw new Error(`no such fault: ${fault}`)
}
