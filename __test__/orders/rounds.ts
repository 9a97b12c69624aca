// Rounds of random calls by several threads of several processes, and what is wrong with what they have seen.

import { existsSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Random } from '../helpers/random-index'
import { bundled, Client, type Host } from './clients'
import { history, type Made } from './history'
import { type Call, type Effect, linearized, projected, TooManyOrders } from './linearize'
import { type Content, isIndex, type Noted, said } from './notes'
import { type Mix, plan, rarely, type Step } from './plan'

export interface Setting extends Host {
  /** A folder that is there. */
  dir: string
  processes: number
  mix: Mix
  seed: number
  /** Of each thread, in a round. */
  calls: number
  /** One round in so many is one in which a process is killed. 0: none. */
  killEach?: number
  /** One round in so many is one in which the folder is replaced as a whole, by one with other contents. 0: none. */
  replaceEach?: number
  /** Whether all files are looked at together: transactions and snapshots are of one moment. */
  together?: boolean
  /** What they do in a round, instead of random steps: by process and thread. */
  plans?: (round: number) => Step[][][]
}

export interface Report {
  rounds: number
  calls: number
  kills: number
  /** What no order explains. */
  wrong: string[]
  /** How often there were too many orders to try. */
  undecided: number
}

function isExplained(report: Report, ...history: Parameters<typeof linearized>): boolean {
  try {
    return linearized(...history) !== undefined
  } catch (error) {
    if (!(error instanceof TooManyOrders)) throw error
    report.undecided++
    return true
  }
}

function contentOf(home: string, file: string): Content {
  if (!existsSync(join(home, file))) return null
  return said(file, readFileSync(join(home, file), 'utf8'))
}

function told(calls: readonly Call[], first: Content, last: Content, made: readonly Made[]): string {
  const origin = Math.min(...calls.map(({ start }) => start))
  const ms = (time: number) => ((time - origin) / 1e6).toFixed(3)
  const lines = [...calls]
    .sort((one, other) => one.start - other.start)
    .map(({ name, start, end, mayBeMissing, after }) => {
      const { step, noted } =
        made.find(({ step }) => [step.id, ...(step.ids ?? [])].some((id) => `${step.call} ${id}` === name)) ??
        {}
      const { start: _s, end: _e, call: _c, called: _d, id: _i, ...seen } = noted ?? ({} as Noted)
      const behind = after.length ? ` after ${after.map(({ name }) => name.split(' ')[1])}` : ''
      const { id: _, call: _n, file: _f, ...how } = step ?? ({} as Step)
      return `  ${ms(start)}-${ms(end)} ${mayBeMissing ? '?' : ''}${name} ${JSON.stringify(how)} -> ${JSON.stringify(seen)}${behind}`
    })
  return [`  from ${first} to ${last}`, ...lines].join('\n')
}

const now = () => Number(process.hrtime.bigint())
const fresh = (file: string, id: string) => (isIndex(file) ? JSON.stringify({ log: [id] }) : id)

/** Rounds until `isOver`, each of which begins when all calls of the one before it have ended. */
export async function rounds(setting: Setting, isOver: (report: Report) => boolean): Promise<Report> {
  const { dir, processes, threads, mix, seed, calls, killEach = 0, replaceEach = 0, together } = setting
  const { atomicDirectory, recover } = require(setting.addon) as typeof import('@pipeline/atomic')
  const random = new Random(seed)
  const home = join(dir, 'home')
  mkdirSync(home, { recursive: true })
  symlinkSync(home, `${home}.link`, 'junction')
  const script = await bundled(dir)
  const clients = Array.from(
    { length: processes },
    (_, i) => new Client(setting, script, home, join(dir, `log-${i}`)),
  )
  const report: Report = { rounds: 0, calls: 0, kills: 0, wrong: [], undecided: 0 }
  const files = [...mix.files, ...mix.indexes]
  const state = () => new Map(files.map((file) => [file, contentOf(home, file)]))
  try {
    await Promise.all(clients.map((client) => client.start()))
    while (!isOver(report)) {
      const round = report.rounds++
      const rewritten = files.filter(() => rarely(random, 4))
      for (const file of rewritten) {
        writeFileSync(join(home, `${file}.new`), fresh(file, `i${round}`))
        renameSync(join(home, `${file}.new`), join(home, file))
      }
      const first = state()
      const plans =
        setting.plans?.(round) ??
        clients.map((_, p) =>
          Array.from({ length: threads }, (_, t) =>
            plan(random, mix, `${round}-${p}${'abcdefgh'[t]}`, calls),
          ),
        )
      const running = clients.map((client, i) => client.run(plans[i] as Step[][]))
      let replaced: Call | undefined
      if (replaceEach > 0 && rarely(random, replaceEach)) {
        await new Promise((resolve) => setTimeout(resolve, random.below(15)))
        const start = now()
        await atomicDirectory(home, (staging) => {
          for (const file of files) writeFileSync(join(staging, file), fresh(file, `d${round}`))
        })
        const effects = new Map(files.map((file): [string, Effect] => [file, () => `d${round}`]))
        replaced = {
          name: `replaced d${round}`,
          start,
          end: now(),
          mayBeMissing: false,
          effects,
          after: [],
        }
      }
      const victim = killEach > 0 && rarely(random, killEach) ? random.of(clients) : undefined
      if (victim) {
        report.kills++
        await new Promise((resolve) => setTimeout(resolve, random.below(15)))
        await victim.kill()
      }
      await Promise.all(running)
      await victim?.start()
      if (mix.ofMany.includes('transaction')) await recover(home)
      const last = state()
      const made = clients.flatMap((client, process) =>
        client.noted().flatMap((notes, thread) =>
          notes.map((noted): Made => {
            const step = plans[process]?.[thread]?.find(({ id }) => id === noted.id) as Step
            return { process, thread, step, noted }
          }),
        ),
      )
      report.calls += made.length
      const found = history(made, { replaced, killed: victim !== undefined })
      const wrong = found.wrong
      for (const file of files) {
        const some = projected(found.calls, file)
        const [from, to] = [first.get(file) ?? null, last.get(file) ?? null]
        if (!isExplained(report, some, new Map([[file, from]]), new Map([[file, to]]))) {
          wrong.push(`no order explains ${file}:\n${told(some, from, to, made)}`)
        }
      }
      if (together && wrong.length === 0) {
        const some = found.calls.filter(({ name }) => !name.startsWith('read'))
        if (!isExplained(report, some, first, last)) {
          wrong.push(`no order explains all files together:\n${told(some, '', '', made)}`)
        }
      }
      report.wrong.push(...wrong.map((text) => `seed ${seed}, round ${round}: ${text}`))
    }
  } finally {
    await Promise.all(clients.map((client) => client.kill()))
  }
  return report
}
