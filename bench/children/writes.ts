// A process that writes files with one of the contenders, and reports what that cost the whole process.

import { join } from 'node:path'
import { writeTuned } from '../contenders/protocol'
import { atomicWriter, type Writer } from '../contenders/writers'
import { type Cost, clock } from '../measure/clock'
import { serve } from './child'

export interface Question {
  writer: 'atomicWrite' | 'tuned'
  folder: string
  fresh: boolean
  bytes: number
  lanes: number
  writes: number
}

/** Of one write: milliseconds, and how often a thread of the process has waited. */
export interface ProcessCost extends Cost {
  cpu: number
  waits: number
}

const write: Record<Question['writer'], Writer['write']> = {
  atomicWrite: atomicWriter.write,
  tuned: writeTuned,
}
let made = 0

serve(async ({ writer, folder, fresh, bytes, lanes, writes }: Question): Promise<ProcessCost> => {
  const data = Buffer.alloc(bytes, 'x')
  const before = process.resourceUsage()
  const cost = await clock(() =>
    Promise.all(
      Array.from({ length: lanes }, async (_, lane) => {
        for (let at = 0; at < writes; at++) {
          await write[writer](join(folder, fresh ? `new-${made++}` : `${lane}`), data)
        }
      }),
    ),
  )
  const after = process.resourceUsage()
  const used = (of: typeof before) => (of.userCPUTime + of.systemCPUTime) / 1000
  return {
    wall: cost.wall / (lanes * writes),
    jsThread: cost.jsThread / (lanes * writes),
    cpu: (used(after) - used(before)) / (lanes * writes),
    waits: (after.voluntaryContextSwitches - before.voluntaryContextSwitches) / (lanes * writes),
  }
})
