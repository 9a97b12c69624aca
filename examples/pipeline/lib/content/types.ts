/**
 * The shapes of the files under `content/_system/`, which only this code writes. The shape of a document is a schema
 * in `document.ts`, because documents come from outside and have to be validated.
 */

export type PageType = 'blog' | 'species' | 'how-to' | 'location'

/** What a list page shows of a document. */
export interface ListingEntry {
  slug: string
  title: string
  description: string
  publishedAt: string
  updatedAt: string
  wordCount: number
  author: { name: string }
  flags: { draft: boolean; noindex: boolean }
  keywords: string[]
}

export interface BlogEntry extends ListingEntry {
  category: string
  heroImage?: string
  tags?: string[]
}

export interface LocationEntry extends ListingEntry {
  stateSlug: string
  citySlug: string
}

export interface ContentIndex {
  version: string
  lastUpdated: string
  species: ListingEntry[]
  howTo: ListingEntry[]
  locations: LocationEntry[]
  blogPosts: BlogEntry[]
}

export interface TopicRecord {
  topicKey: string
  pageType: PageType
  slug: string
  /** `published`: a version of the topic is on the site. `failed`: none is. */
  status: 'published' | 'failed'
  /** SHA-256 of the document's file. */
  contentHash: string
  sourcesUsed: string[]
  lastUpdatedAt: string
  lastPublishedAt?: string
  lastError?: string
  /** Failed attempts since the last success. */
  attempts?: number
  /** The document that owns the topic: another document with the same address is a conflict. */
  documentId?: string
}

export type TopicIndex = TopicRecord[]

export type FailureKind = 'validation' | 'qualityGate' | 'api' | 'write' | 'indexUpdate' | 'other'

export interface PublishAttempt {
  outcome: 'success' | 'failure' | 'quarantined'
  /** Of a publish: until its commit began, because the count is a part of the commit. Of a failure: until it was known. */
  durationMs: number
  topicKey?: string
  pageType?: PageType
  slug?: string
  contentHash?: string
  /** The kind of a failure. Default `other`. */
  failure?: FailureKind
  errorCode?: string
}

export interface PublishMetrics {
  version: string
  lastUpdated: string
  summary: {
    totalAttempts: number
    totalSuccesses: number
    totalFailures: number
    totalQuarantined: number
    /** The average over all successes. */
    averagePublishTimeMs: number
  }
  failures: Record<FailureKind, number>
  /** Newest first, at most 100. */
  recentPublishes: Array<PublishAttempt & { timestamp: string }>
  /** By topic key: the content hash of the version that was counted last. Missing in files of older versions. */
  counted?: Record<string, string>
}

export interface LockCleanup {
  timestamp: string
  /** Relative to the content folder. */
  lockPath: string
  /** Milliseconds from the creation of the lock file to its removal. */
  ageMs: number
}

export interface LockMetrics {
  version: string
  lastUpdated: string
  totalCleanups: number
  /** Newest first, at most 100. */
  recentCleanups: LockCleanup[]
  waits: { updates: number; waited: number; totalMs: number; longestMs: number }
  totalTimeouts: number
}
