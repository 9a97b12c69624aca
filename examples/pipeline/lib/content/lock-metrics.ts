/** What the locks of this process have cost since it started, by the package's own counters. Nothing is written. */

import { stats } from '@pipeline/atomic'

export interface LockCounters {
  /** Calls that got their locks, and how long they waited together. */
  locked: number
  totalMs: number
  /** No wait was longer; `Infinity` beyond the last bucket of the histogram. */
  atMostMs: number
  timeouts: number
  /** Calls that were committed, and in how many commits. */
  calls: number
  commits: number
}

export function lockCounters(): LockCounters {
  const { lockWaits, groupSizes, failures } = stats()
  const longest = lockWaits.counts.findLastIndex((count) => count > 0)
  return {
    locked: lockWaits.count,
    totalMs: lockWaits.sum,
    atMostMs: longest < 0 ? 0 : (lockWaits.bounds[longest] ?? Number.POSITIVE_INFINITY),
    timeouts: failures.ERR_ATOMIC_LOCK_TIMEOUT ?? 0,
    calls: groupSizes.sum,
    commits: groupSizes.count,
  }
}

/** One line for a person. */
export function describeLocks({ locked, totalMs, atMostMs, timeouts, calls, commits }: LockCounters): string {
  const waited = `${locked} waits for locks, ${totalMs.toFixed(1)} ms together, none longer than ${atMostMs} ms`
  return `${waited}; ${timeouts} timeouts; ${calls} calls in ${commits} commits`
}
