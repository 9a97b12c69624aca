// Random transactions, updates and writes of several processes, some of which are killed, against a model that is a map.

import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { snapshotRead } from '@pipeline/atomic'
import { inProcess, type Remote, type RunningProcess } from './processes'

const TEXTS = ['one/a', 'one/b', 'two/c'] as const
const INDEXES = ['one/i.json', 'two/j.json'] as const
export const MODEL_FILES = [...TEXTS, ...INDEXES]

type State = ReadonlyMap<string, string>

type Step =
  | { kind: 'write'; file: string; text: string }
  | { kind: 'count'; file: string }
  | { kind: 'remove'; file: string; must: boolean }
  | { kind: 'rename'; file: string; to: string }
  | { kind: 'copy'; file: string; to: string }

/** Several steps at once, or one by the function that is for one file. */
export interface Operation {
  isTransaction: boolean
  flush: boolean
  steps: Step[]
}

type Outcome = 'done' | 'ENOENT' | 'killed'

/** Numbers that follow from a seed. */
export function random(seed: number): (below: number) => number {
  let state = seed * 2654435761 + 1
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), state | 1) + 0x6d2b79f5) | 0
    return ((state ^ (state >>> 14)) >>> 0) % below
  }
}

const pick = <T>(next: (below: number) => number, of: readonly T[]) => of[next(of.length)] as T

/** One operation. */
function operation(next: (below: number) => number, name: string): Operation {
  const flush = next(4) === 0
  const count = (): Step => ({ kind: 'count', file: pick(next, INDEXES) })
  const write = (): Step => ({
    kind: 'write',
    file: pick(next, TEXTS),
    text: `${name} ${'x'.repeat(next(5000))}`,
  })
  const kind = next(8)
  if (kind === 0) return { isTransaction: false, flush, steps: [write()] }
  if (kind === 1) return { isTransaction: false, flush, steps: [count()] }
  const others = [
    write,
    count,
    (): Step => ({ kind: 'remove', file: pick(next, TEXTS), must: next(4) === 0 }),
    (): Step => ({ kind: 'rename', file: pick(next, TEXTS), to: pick(next, TEXTS) }),
    (): Step => ({ kind: 'copy', file: pick(next, TEXTS), to: pick(next, TEXTS) }),
  ]
  return {
    isTransaction: true,
    flush,
    steps: Array.from({ length: 2 + next(4) }, () => pick(next, others)()),
  }
}

/** What the model makes of an operation. */
function apply(state: State, { steps }: Operation): [State, Outcome] {
  const next = new Map(state)
  for (const step of steps) {
    const { file } = step
    const before = next.get(file)
    if (step.kind === 'write') next.set(file, step.text)
    else if (step.kind === 'count')
      next.set(file, JSON.stringify({ n: JSON.parse(before ?? '{"n":0}').n + 1 }))
    else if (step.kind === 'copy') next.set(step.to, before ?? 'nothing')
    else if (step.kind === 'remove') {
      if (before === undefined && step.must) return [state, 'ENOENT']
      next.delete(file)
    } else if (before === undefined) {
      return [state, 'ENOENT']
    } else {
      next.delete(file)
      next.set(step.to, before)
    }
  }
  return [next, 'done']
}

/** Does what it is told, and may be told to be killed so many microseconds after it has begun. */
async function perform(
  { atomicTransaction, atomicWrite, atomicIndexUpdate, require, send, receive }: Remote,
  root: string,
) {
  const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
  const killer = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads')
    parentPort.on('message', (after) => {
      Atomics.store(workerData, 0, 1)
      for (const end = process.hrtime.bigint() + BigInt(after * 1000); process.hrtime.bigint() < end; );
      process.kill(process.pid, 'SIGKILL')
    })`,
    { eval: true, workerData: new Int32Array(new SharedArrayBuffer(4)) },
  )
  killer.unref()
  const count = (index: { n: number }) => ({ n: index.n + 1 })
  const counting = { initial: { n: 0 }, space: 0 }
  for (;;) {
    const message = await receive()
    if (message === 'end') return
    const { operation, after } = message as { operation: Operation; after: number | null }
    if (after !== null) killer.postMessage(after)
    const [first] = operation.steps as [Step]
    const { flush } = operation
    const perform = async () => {
      if (operation.isTransaction) {
        await atomicTransaction(
          root,
          async (tx) => {
            for (const step of operation.steps) {
              if (step.kind === 'write') tx.write(step.file, step.text)
              else if (step.kind === 'count') tx.update(step.file, count, counting)
              else if (step.kind === 'remove')
                tx.remove(step.file, { missing: step.must ? 'error' : 'ignore' })
              else if (step.kind === 'rename') tx.rename(step.file, step.to)
              else tx.write(step.to, (await tx.read(step.file, 'utf8')) ?? 'nothing')
            }
          },
          { flush, retries: 50 },
        )
      } else if (first.kind === 'write') {
        await atomicWrite(`${root}/${first.file}`, first.text, { flush })
      } else {
        await atomicIndexUpdate(`${root}/${first.file}`, count, { ...counting, flush })
      }
    }
    send(
      await perform().then(
        () => 'done',
        (error) => error.code ?? String(error),
      ),
    )
  }
}

const permutations = <T>(all: T[]): T[][] =>
  all.length === 0
    ? [[]]
    : all.flatMap((one, at) => permutations(all.toSpliced(at, 1)).map((rest) => [one, ...rest]))

/** Whether an order of the operations explains what is there. */
function isExplained(before: State, operations: [Operation, string][], after: State): boolean {
  const same = (one: State) =>
    one.size === after.size && [...one].every(([file, text]) => after.get(file) === text)
  const explains = (order: [Operation, string][], state: State): boolean => {
    const [first, ...rest] = order
    if (first === undefined) return same(state)
    const [operation, outcome] = first
    const [next, expected] = apply(state, operation)
    if (outcome === 'killed') return explains(rest, next) || explains(rest, state)
    return outcome === expected && explains(rest, next)
  }
  return permutations(operations).some((order) => explains(order, before))
}

/** Runs so many rounds with these numbers. Returns what cannot be explained. */
export async function problemsOf(dir: string, seed: number, rounds: number): Promise<string[]> {
  const next = random(seed)
  const root = join(dir, `root-${seed}`)
  mkdirSync(root)
  const processes: (RunningProcess | undefined)[] = [undefined, undefined, undefined]
  let state: State = new Map()
  const problems: string[] = []
  for (let round = 0; round < rounds; round++) {
    const count = 1 + next(3)
    const victim = next(2) === 0 ? next(count) : -1
    const operations = Array.from({ length: count }, (_, at) => operation(next, `${round}.${at}`))
    const outcomes = await Promise.all(
      operations.map(async (operation, at): Promise<[Operation, string]> => {
        const process = processes[at] ?? inProcess(perform, [root])
        processes[at] = process
        process.send({ operation, after: at === victim ? next(6000) : null })
        const outcome = await process.next().catch(() => 'killed')
        if (at === victim) {
          processes[at] = undefined
          await process.exit
        }
        return [operation, outcome]
      }),
    )
    const contents = await snapshotRead(root, MODEL_FILES)
    const after = new Map(
      MODEL_FILES.flatMap((file, at) =>
        contents[at] === null ? [] : [[file, contents[at] as string] as const],
      ),
    )
    if (!isExplained(state, outcomes, after)) {
      const short = (all: State) => JSON.stringify([...all].map(([file, text]) => [file, text.slice(0, 12)]))
      const told = outcomes.map(
        ([operation, outcome]) => `${JSON.stringify(operation).replace(/x{3,}/g, '…')} ${outcome}`,
      )
      problems.push(`seed ${seed}, round ${round}: ${short(state)}\n${told.join('\n')}\n→ ${short(after)}`)
    }
    // What recovery has done stays.
    for (const [file, text] of after)
      if (readFileSync(join(root, file), 'utf8') !== text) problems.push(`${file} differs`)
    state = after
  }
  for (const process of processes) process?.send('end')
  await Promise.all(processes.map((process) => process?.exit))
  return problems
}
