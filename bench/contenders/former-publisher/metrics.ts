// The counts of the former publisher.

import { z } from 'zod'
import { publishMetricsPath } from '../../../examples/pipeline/lib/content/paths'
import type { PublishMetrics } from '../../../examples/pipeline/lib/content/types'
import { emptyMetrics } from '../../../examples/pipeline/scripts/pipeline/metrics'
import type { Topic } from './topics'
import { type IndexFile, updateIndex } from './update'

const RECENT_MAX = 100

const count = z.number().nonnegative()

const metricsFile: IndexFile<PublishMetrics> = {
  path: publishMetricsPath,
  schema: z.looseObject({
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
  empty: emptyMetrics,
}

/** A version that was counted is not counted again. */
export async function recordSuccess(topic: Topic, durationMs: number): Promise<void> {
  const { topicKey, pageType, slug, contentHash } = topic
  await updateIndex(metricsFile, (metrics) => {
    const { counted = {} } = metrics
    if (counted[topicKey] === contentHash) return metrics
    const summary = { ...metrics.summary, totalAttempts: metrics.summary.totalAttempts + 1 }
    summary.totalSuccesses += 1
    summary.averagePublishTimeMs += (durationMs - summary.averagePublishTimeMs) / summary.totalSuccesses
    const timestamp = new Date().toISOString()
    const publish = {
      timestamp,
      outcome: 'success' as const,
      durationMs,
      topicKey,
      pageType,
      slug,
      contentHash,
    }
    return {
      ...metrics,
      lastUpdated: timestamp,
      summary,
      recentPublishes: [publish, ...metrics.recentPublishes].slice(0, RECENT_MAX),
      counted: { ...counted, [topicKey]: contentHash },
    }
  })
}
