// What a batch of writes costs: the time until all are done, and the time of the JS thread.
//
// The latter is the CPU time of that one thread, where the system reports it. `process.cpuUsage` would include the
// worker threads, and event loop utilization would include the time in which the thread was ready to run while the
// workers had the processors.

import { openSync, readFileSync, readSync } from 'node:fs'
import { performance } from 'node:perf_hooks'

export interface Cost {
  wall: number
  jsThread: number
  /** How long its steps took, for a contender that reports it. */
  steps?: number[]
}

interface ThreadClock {
  description: string
  /** Milliseconds, from any starting point. */
  now(): number
}

export const threadClock = pickThreadClock()

/** Runs `work` and resolves with its cost, in milliseconds. */
export async function clock(work: () => Promise<unknown>): Promise<Cost> {
  const thread = threadClock.now()
  const start = performance.now()
  await work()
  return { wall: performance.now() - start, jsThread: threadClock.now() - thread }
}

/** Written by nobody, so a wait for it takes as long as it may. */
const never = new Int32Array(new SharedArrayBuffer(4))
const statistics = Buffer.alloc(64)
const isScheduled = threadClock.description.includes('schedstat')
let ownStatistics: number | undefined

/**
 * As `threadClock`, for work that takes less than a millisecond: Linux counts what a thread does when it stops for another one, or at
 * a tick, so this stops for a moment. That costs some time, which is to be measured as well, with no work.
 */
export function threadTimeNow(): number {
  if (!isScheduled) return threadClock.now()
  ownStatistics ??= openSync('/proc/thread-self/schedstat', 'r')
  Atomics.wait(never, 0, 0, 0.001)
  const length = readSync(ownStatistics, statistics, 0, statistics.length, 0)
  return Number(statistics.toString('latin1', 0, length).split(' ')[0]) / 1e6
}

function pickThreadClock(): ThreadClock {
  return schedulerClock() ?? cpuUsageClock() ?? eventLoopClock()
}

/** Linux: the nanoseconds for which this thread ran on a processor. */
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
