// Compiled, never run: the names that are about seeing what happens, used as a user would, and misused where it says so.
import { tracingChannel } from 'node:diagnostics_channel'
import { type Histogram, type Stats, stats, type TraceMessage, type TraceSteps } from '@pipeline/atomic'

export function observe(): Record<string, number> {
  const { lockWaits, failures, writes, bytes }: Stats = stats()
  const { bounds, counts, unit }: Histogram = lockWaits
  console.log(
    bytes / writes,
    unit === 'ms',
    bounds.map((bound, at) => [bound, counts[at]]),
  )
  const ended = ({ function: name, path, steps }: TraceMessage) => {
    const { fsync = 0, directoryFsync = 0 }: TraceSteps = steps ?? {}
    console.log(name === 'atomicWrite', path, fsync + directoryFsync)
    if (name === 'withIndexLock' || name === 'appendLines' || name === 'restoreIndex')
      console.log(Array.isArray(path))
  }
  tracingChannel<unknown, TraceMessage>('@pipeline/atomic:write').asyncEnd.subscribe((message) => {
    ended(message as TraceMessage)
  })
  // @ts-expect-error: counters are read, not set
  stats({ writes: 0 })
  // @ts-expect-error: there is no such step
  console.log((steps: TraceSteps) => steps.commit)
  return failures
}
