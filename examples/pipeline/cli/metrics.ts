/** `metrics`: prints publish-metrics.json and lock-metrics.json, as a table or as JSON. */

import { isInStore } from '../lib/content/paths'
import { getLockMetrics, resetLockMetrics } from '../scripts/pipeline/lock-metrics'
import { getMetrics, resetMetrics } from '../scripts/pipeline/metrics'

export async function metrics({ json, reset }: { json: boolean; reset: boolean }): Promise<number> {
  if (reset) {
    await resetMetrics()
    await resetLockMetrics()
  }
  // `counted` has an entry for each topic and serves only the publisher.
  const [{ counted: _, ...publishing }, locks] = await Promise.all([getMetrics(), getLockMetrics()])
  if (json) {
    process.stdout.write(`${JSON.stringify({ publishing, locks }, null, 2)}\n`)
    return 0
  }

  const { summary, failures } = publishing
  const causes = Object.entries(failures).filter(([, n]) => n > 0)
  const rows: Array<[string, string | number]> = [
    ['attempts', summary.totalAttempts],
    ['published', summary.totalSuccesses],
    ['failed', summary.totalFailures],
    ...causes.map(([cause, n]): [string, number] => [`  ${cause}`, n]),
    ['quarantined', summary.totalQuarantined],
    ['average time', `${summary.averagePublishTimeMs.toFixed(1)} ms`],
  ]
  if (!isInStore()) {
    rows.push(
      ['index updates', locks.waits.updates],
      ['  that waited for the lock', locks.waits.waited],
      ['  longest wait', `${locks.waits.longestMs.toFixed(0)} ms`],
      ['lock timeouts', locks.totalTimeouts],
      ['killed lock holders', locks.totalCleanups],
    )
  }
  for (const [name, value] of rows) process.stdout.write(`${name.padEnd(28)}${value}\n`)
  return 0
}
