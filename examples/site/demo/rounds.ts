/** Kills builds at random moments while the site is read. Each build changes every page. */

import { setTimeout as sleep } from 'node:timers/promises'
import { buildToTheEnd, startBuilder } from './builder'
import { changesBetween, identities, leftoversIn } from './inspect'
import { type Visit, visit } from './reader'

export interface Rounds {
  kills: number
  /** How many of the kills left some files new and others old, or a new tree beside the site. */
  midway: number
  /** How many builds finished. */
  done: number
  visit: Visit
}

export interface RoundsOptions {
  workplace: string
  /** What builders run. */
  cli: string
  out: string
  args: readonly string[]
  files: readonly string[]
  /** How long a build takes, in milliseconds. */
  ms: number
  stamped: boolean
  /** For how long to go on. */
  seconds: number
  onRound: (spent: number, of: number) => void
}

/** The earliest moment of a kill: before it, a process only loads its code. */
const FIRST_MS = 100
/** One build in this many is not killed, so that the site changes for its readers, and its time is measured. */
const SPARED = 3
const LEAST_KILLS = 3

export async function killAgainAndAgain(options: RoundsOptions): Promise<Rounds> {
  const { workplace, cli, out, args, files, stamped, seconds, onRound } = options
  const visitor = visit(out, files, { stamped })
  const found = { kills: 0, midway: 0, done: 0 }
  const started = Date.now()
  const spent = () => (Date.now() - started) / 1000
  let { ms } = options
  let before = await identities(out)
  for (let round = 1; found.kills < LEAST_KILLS || spent() < seconds; round++) {
    const builder = startBuilder(cli, [...args, '--title', `Version ${round}`])
    const isSpared = round % SPARED === 0
    if (!isSpared) {
      await sleep(FIRST_MS + Math.random() * (ms - FIRST_MS))
      builder.kill('SIGKILL')
    }
    const outcome = await builder.ended
    if (outcome.code !== null && outcome.code !== 0) {
      throw new Error(`a builder ended with ${outcome.code}\n${outcome.stderr}`)
    }
    const after = await identities(out)
    if (outcome.code === 0) {
      found.done += 1
      // If the build finished before its kill, the next kill comes earlier.
      ms = isSpared ? outcome.ms : Math.max(2 * FIRST_MS, Math.min(ms, outcome.ms) * 0.8)
    } else {
      found.kills += 1
      const changed = changesBetween(before, after).length
      const isStaged = (await leftoversIn(workplace)).some((name) => !name.endsWith('.pid'))
      if (isStaged || (changed > 0 && changed < files.length)) found.midway += 1
    }
    before = after
    await visitor.pass()
    onRound(Math.min(spent(), seconds), seconds)
  }
  return { ...found, visit: await visitor.stop() }
}

/** Builds once more without a kill, which must repair everything. */
export async function finish(cli: string, args: readonly string[]): Promise<void> {
  await buildToTheEnd(cli, [...args, '--title', 'The last version'])
}
