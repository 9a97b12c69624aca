/**
 * Counts publishes and failures. A success is counted in the transaction that publishes the document. `counted` holds, for
 * each topic, the version that was counted last: if the topic index is lost, its documents are published again, but they are
 * no new successes. Only a reset removes its entries.
 */

import { z } from 'zod'
import { type IndexFile, shapeOf } from '../../lib/content/index-file'
import { publishMetricsPath } from '../../lib/content/paths'
import { loadIndex } from '../../lib/content/read-json'
import type { PublishAttempt, PublishMetrics } from '../../lib/content/types'
import { resetIndex, updateIndex } from './indexUpdate'

const RECENT_MAX = 100

const count = z.number().nonnegative()

export const metricsFile: IndexFile<PublishMetrics> = {
  path: publishMetricsPath,
  schema: shapeOf(
    z.looseObject({
      version: z.string(),
      summary: z.looseObject({
        totalAttempts: count,
        totalSuccesses: count,
        totalFailures: count,
        totalQuarantined: count,
        averagePublishTimeMs: count,
      }),
      failures: z.record(z.string(), count),
      recentPublishes: z.array(z.looseObject({ outcome: z.string() })),
      counted: z.record(z.string(), z.string()).optional(),
    }),
  ),
  empty: emptyMetrics,
}

export function emptyMetrics(): PublishMetrics {
  return {
    version: '1.0.0',
    lastUpdated: new Date(0).toISOString(),
    summary: {
      totalAttempts: 0,
      totalSuccesses: 0,
      totalFailures: 0,
      totalQuarantined: 0,
      averagePublishTimeMs: 0,
    },
    failures: { validation: 0, qualityGate: 0, api: 0, write: 0, indexUpdate: 0, other: 0 },
    recentPublishes: [],
    counted: {},
  }
}

export function withAttempt(metrics: PublishMetrics, attempt: PublishAttempt): PublishMetrics {
  const { outcome, topicKey, contentHash } = attempt
  let { counted = {} } = metrics
  if (outcome === 'success' && topicKey && contentHash) {
    if (counted[topicKey] === contentHash) return metrics
    // In place, unless they are kept: a copy of all topics for each publish of many would take most of it. Whoever runs again gets the metrics anew.
    if (Object.isFrozen(counted)) counted = { ...counted }
    counted[topicKey] = contentHash
  }
  const summary = { ...metrics.summary, totalAttempts: metrics.summary.totalAttempts + 1 }
  const failures = { ...metrics.failures }
  switch (attempt.outcome) {
    case 'success': {
      summary.totalSuccesses += 1
      const average = summary.averagePublishTimeMs
      summary.averagePublishTimeMs = average + (attempt.durationMs - average) / summary.totalSuccesses
      break
    }
    case 'failure': {
      const kind = attempt.failure ?? 'other'
      summary.totalFailures += 1
      failures[kind] = (failures[kind] ?? 0) + 1
      break
    }
    case 'quarantined':
      summary.totalQuarantined += 1
  }
  const timestamp = new Date().toISOString()
  const recentPublishes = [{ timestamp, ...attempt }, ...metrics.recentPublishes].slice(0, RECENT_MAX)
  return { ...metrics, lastUpdated: timestamp, summary, failures, recentPublishes, counted }
}

export async function recordPublishAttempt(attempt: PublishAttempt): Promise<void> {
  await updateIndex(metricsFile, (metrics) => withAttempt(metrics, attempt))
}

/** @throws PublishError `INVALID_JSON` if the file is broken. */
export function getMetrics(): Promise<PublishMetrics> {
  return loadIndex(metricsFile)
}

/** Sets everything to zero. A broken file is set aside: this is how to recover from `INVALID_JSON`. */
export async function resetMetrics(): Promise<void> {
  await resetIndex(metricsFile)
}
