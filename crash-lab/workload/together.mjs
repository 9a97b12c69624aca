// Transactions under a fault, each judged at once: a line of JSON for each, with `problem` if a promise was broken.
//
// node together.mjs meanwhile TRIES ENOUGH FOLDER    somebody changes an index while a transaction works on it
// node together.mjs survivor TRIES ENOUGH FOLDER     a process that lives on updates the index of a killed transaction
// node together.mjs foreign TRIES ENOUGH FOLDER      somebody replaces a file of a killed transaction
// node together.mjs torn TRIES ENOUGH FOLDER         a part of what a killed transaction has written is not there
// node together.mjs moved TRIES ENOUGH FOLDER        somebody replaces a file that a transaction moves, right before its old name is taken away
// node together.mjs away TRIES ENOUGH FOLDER         the same, and the transaction is killed before it has looked at what it has taken away
// node together.mjs left TRIES ENOUGH FOLDER         whether the directory that a file was moved from is flushed after that
// node together.mjs turns NUMBER FOLDER       one of several processes whose transactions have no file in common
// node together.mjs transaction FOLDER        the one that is killed
// node together.mjs move FROM FOLDER          the one whose flushes are looked at, or that is killed after a move

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const { atomicIndexUpdate, atomicTransaction, recover } = createRequire(import.meta.url)('../..')
const [fault, ...rest] = process.argv.slice(2)
const folder = rest.at(-1) ?? '.'
const TURNS = 40
/** Those of each fault that shows each time. */
const TRIES = Number(rest[0])
/** After so many that show it there are no more. */
const ENOUGH = Number(rest[1])
let shown = 0

function* tries() {
  for (let i = 0; i < TRIES && shown < ENOUGH; i++) yield i
}

/** How often a moment may be missed on a busy machine. */
const MISSES = 20
/** In the journal; see docs/transactions.md. */
const RECORD_AT = 4096
const HEAD_LENGTH = 56

const path = (/** @type {string} */ name) => join(folder, name)
const read = (/** @type {string} */ name) => JSON.parse(readFileSync(path(name), 'utf8'))
const increment = (/** @type {{ n: number }} */ index) => ({ ...index, n: index.n + 1 })

/** Says what is wrong, if anything. */
function judge(/** @type {boolean} */ right, /** @type {string} */ problem, harm = 'lost') {
  if (!right) shown++
  console.log(JSON.stringify(right ? {} : { problem, harm }))
}

function prepare() {
  for (const name of ['index.json', 'second.json']) writeFileSync(path(name), '{"n":1}')
  writeFileSync(path('post'), 'old')
}

function transaction() {
  return atomicTransaction(folder, (tx) => {
    tx.update('index.json', increment)
    tx.update('second.json', increment)
    tx.write('post', 'new')
  })
}

/**
 * With this only the calls that are traced stop, and Node.js starts in a part of the time. (Not where a call is to be killed: strace 6.1 then
 * misses it if `-P` has passed over another one.)
 */
const FAST = '--seccomp-bpf'

/** Lets a transaction be killed right before this file gets its name. */
function interrupted(/** @type {string} */ name) {
  const strace = ['-f', '-qq', '-o', '/dev/null', '-P', name, '-e', 'trace=/^rename']
  strace.push('-e', 'inject=/^rename:signal=SIGKILL:when=1')
  const node = [process.execPath, fileURLToPath(import.meta.url), 'transaction', folder]
  const { status } = spawnSync('strace', [...strace, ...node], { stdio: 'ignore' })
  if (status === 0) throw new Error('the transaction was not killed')
}

/** What moves this file to `to`. */
const moving = (/** @type {string} */ from) => [
  process.execPath,
  fileURLToPath(import.meta.url),
  'move',
  from,
  folder,
]

/** Moves `from`, which somebody replaces between the look at it and its end. What came of the mover.
 * @param {string[]} faults More options of strace. */
async function replacedMeanwhile(...faults) {
  prepare()
  // What a mutant has left would be in the way of the next one.
  const left = readdirSync(folder).filter((name) => name.startsWith('.from.'))
  for (const name of ['to', ...left]) rmSync(path(name), { force: true })
  writeFileSync(path('from'), 'moved')
  writeFileSync(path('theirs'), 'theirs')
  const strace = ['-f', '-qq', '-o', '/dev/null', '-P', 'from', '-e', 'trace=newfstatat,renameat2']
  strace.push('-e', 'inject=newfstatat:delay_exit=200000', ...(faults.length > 0 ? faults : [FAST]))
  const mover = spawn('strace', [...strace, ...moving('from')], { stdio: 'ignore' })
  const exit = once(mover, 'exit')
  // It is looked at right after that.
  while (mover.exitCode === null && mover.signalCode === null && !existsSync(path('to'))) await sleep(1)
  await sleep(50)
  renameSync(path('theirs'), path('from'))
  const [status] = await exit
  return status
}

/** The same, with a kill of the mover right before it gives that back. */
async function takenAway() {
  for (let tries = 0; tries < MISSES; tries++) {
    const status = await replacedMeanwhile('-e', 'inject=renameat2:signal=SIGKILL:when=2')
    if (status !== 0) return
    await recover(folder)
  }
  throw new Error(`the transaction was not killed, in ${MISSES} tries`)
}

/** What was written stays, and so does what was moved. */
function judgeMove() {
  const found = ['from', 'to'].map((name) =>
    existsSync(path(name)) ? readFileSync(path(name), 'utf8') : null,
  )
  judge(`${found}` === 'theirs,moved', `somebody’s file and the moved one are ${JSON.stringify(found)}`)
}

if (fault === 'transaction') {
  await transaction()
} else if (fault === 'move') {
  await atomicTransaction(folder, (tx) => {
    tx.rename(rest[0], 'to')
    tx.write('post', 'new')
  })
} else if (fault === 'left') {
  for (const _ of tries()) {
    prepare()
    mkdirSync(path('left'), { recursive: true })
    writeFileSync(path('left/from'), 'moved')
    const trace = path('trace')
    const strace = ['-f', '-y', '-qq', FAST, '-o', trace, '-e', 'trace=fsync,/^(rename|unlink)']
    spawnSync('strace', [...strace, ...moving('left/from')])
    const calls = readFileSync(trace, 'utf8').split('\n')
    const goes = calls.findLastIndex((call) => /^[^"]*\/left>, "from"/.test(call))
    const flushed = calls.findLastIndex((call) => /fsync\(\d+<[^>]*\/left>/.test(call))
    const right = goes >= 0 && flushed > goes && readFileSync(path('to'), 'utf8') === 'moved'
    judge(right, `the directory is flushed in call ${flushed}, and the name goes in ${goes}`, 'false-success')
  }
} else if (fault === 'meanwhile') {
  for (const i of tries()) {
    prepare()
    let runs = 0
    await atomicTransaction(folder, (tx) => {
      tx.update('index.json', (index) => {
        if (runs++ === 0) writeFileSync(path('index.json'), JSON.stringify({ ...index, theirs: true }))
        return increment(index)
      })
      tx.write('post', `new ${i}`)
    })
    const index = read('index.json')
    judge(index.theirs === true && index.n === 2, `their change is gone: ${JSON.stringify(index)}`)
  }
} else if (fault === 'survivor') {
  for (const _ of tries()) {
    prepare()
    // From now on this process does not look for a root here.
    await atomicIndexUpdate(path('other.json'), increment, { initial: { n: 0 } })
    interrupted('index.json')
    await atomicIndexUpdate(path('index.json'), increment)
    await recover(folder)
    const [index, second] = [read('index.json').n, read('second.json').n]
    judge(index === 3 && second === 2, `the indexes are at ${index} and ${second}`)
  }
} else if (fault === 'foreign') {
  for (const _ of tries()) {
    prepare()
    interrupted('post')
    writeFileSync(path('theirs'), 'theirs')
    renameSync(path('theirs'), path('post'))
    await recover(folder)
    judge(readFileSync(path('post'), 'utf8') === 'theirs', 'somebody else’s file was overwritten')
  }
} else if (fault === 'torn') {
  for (const i of tries()) {
    prepare()
    interrupted('index.json')
    if (i % 2 === 0) {
      // The last bytes of the record: what the old version of the post was.
      const journal = readFileSync(path('.atomic/journal'))
      const length = RECORD_AT + HEAD_LENGTH + journal.readUInt32LE(RECORD_AT + 8)
      writeFileSync(path('.atomic/journal'), journal.fill(0, length - 16, length))
    } else {
      const staged = readdirSync(folder).find((name) => name.startsWith('.post.')) ?? ''
      writeFileSync(path(staged), Buffer.alloc('new'.length))
    }
    await recover(folder)
    const found = [read('index.json').n, read('second.json').n, readFileSync(path('post'), 'utf8')]
    judge(`${found}` === '1,1,old', `it was not whole, and the files are ${JSON.stringify(found)}`, 'torn')
  }
} else if (fault === 'moved') {
  for (const _ of tries()) {
    const status = await replacedMeanwhile()
    if (status !== 0) throw new Error(`the transaction failed (${status})`)
    judgeMove()
  }
} else if (fault === 'away') {
  for (const _ of tries()) {
    await takenAway()
    await recover(folder)
    judgeMove()
  }
} else if (fault === 'turns') {
  const names = ['a', 'b', 'c'].map((name) => `${name}-${rest[0]}`)
  for (let i = 0; i < TURNS; i++) {
    try {
      await atomicTransaction(
        folder,
        names.map((write) => ({ write, data: `${i}` })),
        { flush: false, timeout: 600_000 },
      )
      const there = names.map((name) => readFileSync(path(name), 'utf8'))
      judge(
        there.every((text) => text === `${i}`),
        `resolved, and the files are ${there}`,
      )
    } catch ({ code, message }) {
      judge(false, `transaction ${i} rejects: ${code} ${message}`, 'false-failure')
    }
  }
}
