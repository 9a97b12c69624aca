// What the library's own threads do after an answer: closing a replaced file, removing a directory. They are done when they
// sleep; a busy machine only makes them runnable for longer, so no time has to be guessed.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** How often in a row the other threads have to be asleep, and the pause before each look. One may be between two tasks. */
const LOOKS = 20
const PAUSE_MS = 10

/** Whether every thread but this one waits for something other than a disk or a processor. */
function othersSleep() {
  return readdirSync('/proc/self/task').every((tid) => {
    if (Number(tid) === process.pid) return true
    try {
      // proc_pid_stat(5): pid (comm) state; `comm` may hold anything.
      return /^ [SZX]/.test(readFileSync(`/proc/self/task/${tid}/stat`, 'latin1').split(')').at(-1) ?? '')
    } catch {
      return true // it has ended meanwhile
    }
  })
}

/**
 * What `look` still finds when all other threads are at rest; nothing, as soon as it finds nothing.
 *
 * @template T
 * @param {() => T[]} look
 * @returns {Promise<T[]>}
 */
export async function atRest(look) {
  for (let asleep = 0; ; ) {
    const found = look()
    if (found.length === 0 || asleep === LOOKS) return found
    await sleep(PAUSE_MS)
    asleep = othersSleep() ? asleep + 1 : 0
  }
}

/** Resolves when all other threads are at rest. */
export const rest = () => atRest(() => ['nothing in particular'])

/** What every open descriptor stands for, and how often: one file may be open twice. */
export function descriptors() {
  const open = new Map()
  for (const fd of readdirSync('/proc/self/fd')) {
    let link
    try {
      link = readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      continue // the descriptor that lists the others
    }
    open.set(link, (open.get(link) ?? 0) + 1)
  }
  return open
}

/** What is open at rest and was not before. */
export function leaked(/** @type {Map<string, number>} */ before) {
  return atRest(() =>
    [...descriptors()].filter(([link, count]) => count > (before.get(link) ?? 0)).map(([link]) => link),
  )
}
