// What a batch of writes costs: the time until all are done, and the time of the JS thread.
//
// The latter is CPU time of that one thread, where it can be had. `process.cpuUsage` would count the worker
// threads as well, and event loop utilization would count the time in which the thread was ready to run and
// the workers had the processors.

import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'

export interface Cost {
  wall: number
  jsThread: number
  /** What its steps took, of a contender that tells. */
  steps?: number[]
}

interface ThreadClock {
  description: string
  /** Milliseconds, from any starting point. */
  now(): number
}

export const threadClock = pickThreadClock()

/** Runs `work` and tells what it cost, in milliseconds. */
export async function clock(work: () => Promise<unknown>): Promise<Cost> {
  const thread = threadClock.now()
  const start = performance.now()
  await work()
  return { wall: performance.now() - start, jsThread: threadClock.now() - thread }
}

function pickThreadClock(): ThreadClock {
  return schedulerClock() ?? cpuUsageClock() ?? eventLoopClock()
}

/** Linux: the nanoseconds for which the scheduler had this thread on a processor. */
function schedulerClock(): ThreadClock | undefined {
  const now = () => Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0]) / 1e6
  try {
    if (!(now() > 0)) return undefined
  } catch {
    return undefined
  }
  return { description: 'CPU time of the JS thread, user and system (schedstat)', now }
}

/** Node 23.9 and newer. */
function cpuUsageClock(): ThreadClock | undefined {
  const { threadCpuUsage } = process as { threadCpuUsage?: () => { user: number; system: number } }
  if (!threadCpuUsage) return undefined
  const now = () => {
    const { user, system } = threadCpuUsage()
    return (user + system) / 1000
  }
  return { description: 'CPU time of the JS thread, user and system (process.threadCpuUsage)', now }
}

function eventLoopClock(): ThreadClock {
  const now = () => performance.eventLoopUtilization().active
  return { description: 'time in which the event loop was not idle (eventLoopUtilization)', now }
}
