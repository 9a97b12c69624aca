// A process that writes files with one of the contenders, or updates an index, and reports what that cost the whole process.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { change, writeIndex } from '../contenders/index-file'
import { writeTuned } from '../contenders/protocol'
import { indexUpdater } from '../contenders/updaters'
import { atomicWriter, type Writer } from '../contenders/writers'
import { type Cost, clock } from '../measure/clock'
import { serve } from './child'

export interface Question {
  work: 'atomicWrite' | 'tuned' | 'atomicIndexUpdate'
  folder: string
  fresh: boolean
  /** Of a file; of an index, how many records it has. */
  size: number
  /** So many calls at a time. */
  lanes: number
  /** So many calls one after the other. */
  calls: number
}

type Call = (lane: number) => Promise<unknown>

/** Of one call: milliseconds, and how often a thread of the process has waited. */
export interface ProcessCost extends Cost {
  cpu: number
  waits: number
}

const writers: Record<'atomicWrite' | 'tuned', Writer['write']> = {
  atomicWrite: atomicWriter.write,
  tuned: writeTuned,
}
let made = 0

serve(async (question: Question): Promise<ProcessCost> => {
  const { lanes, calls } = question
  const call = question.work === 'atomicIndexUpdate' ? await update(question) : write(question, question.work)
  const before = process.resourceUsage()
  const cost = await clock(() =>
    Promise.all(
      Array.from({ length: lanes }, async (_, lane) => {
        for (let at = 0; at < calls; at++) await call(lane)
      }),
    ),
  )
  const after = process.resourceUsage()
  const used = (of: typeof before) => (of.userCPUTime + of.systemCPUTime) / 1000
  const all = lanes * calls
  return {
    wall: cost.wall / all,
    jsThread: cost.jsThread / all,
    cpu: (used(after) - used(before)) / all,
    waits: (after.voluntaryContextSwitches - before.voluntaryContextSwitches) / all,
  }
})

function write({ folder, fresh, size }: Question, writer: keyof typeof writers): Call {
  const data = Buffer.alloc(size, 'x')
  return (lane) => writers[writer](join(folder, fresh ? `new-${made++}` : `${lane}`), data)
}

/** All lanes change the same index. */
async function update({ folder, size }: Question): Promise<Call> {
  const path = join(folder, 'index.json')
  if (!existsSync(path)) await writeIndex(path, size)
  const run = await indexUpdater.open(path)
  return () => run(change(made++))
}
