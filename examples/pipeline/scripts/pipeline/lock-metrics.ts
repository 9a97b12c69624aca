/**
 * Lock waits, timeouts, and lock files of killed holders, of a content folder: an object store has no locks. The kernel releases a lock when its holder dies, so no lock
 * goes stale; only the lock file remains, and the next update takes it over and removes it. This module detects
 * that by the identity of the file: a living holder removes its lock file when it is done, so a file that existed
 * before the call and is still the same while the call holds the lock was left by a killed holder, unless
 * another update of this process shares the lock.
 *
 * Statistics must not fail, delay or repeat a publish. Updates of this file are therefore not observed themselves,
 * waits are collected in memory and written from time to time, and an error becomes a process warning.
 */

import { type BigIntStats, lstatSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { atomicIndexUpdate, type UpdateOptions } from '@pipeline/atomic'
import { z } from 'zod'
import { type IndexFile, shapeOf } from '../../lib/content/index-file'
import { contentRoot, isInStore, lockMetricsPath } from '../../lib/content/paths'
import { loadIndex } from '../../lib/content/read-json'
import type { LockCleanup, LockMetrics } from '../../lib/content/types'
import { asPublishError } from './errors'
import { warn } from './warn'

const RECENT_MAX = 100
/** Waits are written after this many updates. A program calls `flushLockMetrics` before it ends. */
const FLUSH_EVERY = 200
/** Short, because a publisher should not wait for statistics. */
const LOCK_TIMEOUT_MS = 2_000

const count = z.number().nonnegative()
const lockMetricsFile: IndexFile<LockMetrics> = {
  path: lockMetricsPath,
  schema: shapeOf(
    z.looseObject({
      version: z.string(),
      totalCleanups: count,
      recentCleanups: z.array(z.looseObject({ lockPath: z.string() })),
      waits: z.looseObject({ updates: count, waited: count, totalMs: count, longestMs: count }),
      totalTimeouts: count,
    }),
  ),
  empty: emptyLockMetrics,
}

const noWaits = () => ({ updates: 0, waited: 0, totalMs: 0, longestMs: 0 })
let pending = { waits: noWaits(), timeouts: 0 }

export function emptyLockMetrics(): LockMetrics {
  return {
    version: '1.0.0',
    lastUpdated: new Date(0).toISOString(),
    totalCleanups: 0,
    recentCleanups: [],
    waits: noWaits(),
    totalTimeouts: 0,
  }
}

async function change(
  fn: (metrics: LockMetrics) => LockMetrics,
  options: UpdateOptions<LockMetrics> = {},
): Promise<void> {
  const { path, schema, empty } = lockMetricsFile
  const stamped = (metrics: LockMetrics) => ({ ...fn(metrics), lastUpdated: new Date().toISOString() })
  const how = { initial: empty(), schema, timeout: LOCK_TIMEOUT_MS, ...options }
  try {
    await atomicIndexUpdate(path(), stamped, how)
  } catch (error) {
    throw asPublishError(error, 'index')
  }
}

export async function recordLockCleanup(lockPath: string, ageMs: number): Promise<void> {
  const cleanup: LockCleanup = { timestamp: new Date().toISOString(), lockPath, ageMs }
  await change((metrics) => ({
    ...metrics,
    totalCleanups: metrics.totalCleanups + 1,
    recentCleanups: [cleanup, ...metrics.recentCleanups].slice(0, RECENT_MAX),
  }))
}

/** @throws PublishError `INVALID_JSON` if the file is broken. */
export function getLockMetrics(): Promise<LockMetrics> {
  return loadIndex(lockMetricsFile)
}

/** Sets everything to zero. A broken file is set aside. */
export async function resetLockMetrics(): Promise<void> {
  pending = { waits: noWaits(), timeouts: 0 }
  if (!isInStore()) await change(emptyLockMetrics, { onCorrupt: emptyLockMetrics })
}

/** Writes what this process has collected. On a failure it warns and keeps the figures for the next call. */
export async function flushLockMetrics(): Promise<void> {
  const { waits, timeouts } = pending
  if (waits.updates === 0 && timeouts === 0) return
  pending = { waits: noWaits(), timeouts: 0 }
  try {
    await change((metrics) => ({
      ...metrics,
      waits: addWaits(metrics.waits, waits),
      totalTimeouts: metrics.totalTimeouts + timeouts,
    }))
  } catch (error) {
    pending = { waits: addWaits(pending.waits, waits), timeouts: pending.timeouts + timeouts }
    warn('Lock metrics were not written', error)
  }
}

function addWaits(a: LockMetrics['waits'], b: LockMetrics['waits']): LockMetrics['waits'] {
  return {
    updates: a.updates + b.updates,
    waited: a.waited + b.waited,
    totalMs: a.totalMs + b.totalMs,
    longestMs: Math.max(a.longestMs, b.longestMs),
  }
}

/** A transaction is one update: it waits for the locks of all its indexes together. */
export async function observeUpdate(lockWaitMs: number, locks: readonly LockWatch[]): Promise<void> {
  const waited = lockWaitMs >= 1 ? 1 : 0
  const wait = { updates: 1, waited, totalMs: waited ? lockWaitMs : 0, longestMs: lockWaitMs }
  pending.waits = addWaits(pending.waits, wait)
  for (const { takenOver } of locks) {
    if (!takenOver) continue
    await recordLockCleanup(relative(contentRoot(), takenOver.path), takenOver.ageMs).catch((error) => {
      warn('A lock cleanup was not recorded', error)
    })
  }
  if (pending.waits.updates % FLUSH_EVERY === 0) await flushLockMetrics()
}

/** A timeout is rare, so it is written immediately. */
export async function observeTimeout(): Promise<void> {
  pending.timeouts += 1
  await flushLockMetrics()
}

/** The identity of the lock file last held by this process, by path: updates that share a commit share its lock. */
const held = new Map<string, string>()

interface LockSeen {
  path: string
  identity: string
  ageMs: number
}

/** The inode number alone does not identify a file, because file systems reuse it immediately. */
function look(path: string): LockSeen | undefined {
  // Synchronous: it takes microseconds, and an update's function that awaits nothing holds the lock for less time.
  let found: BigIntStats | undefined
  try {
    found = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  } catch {
    // Only statistics.
  }
  if (!found) return undefined
  const ageMs = Math.max(0, Date.now() - Number(found.birthtimeMs || found.mtimeMs))
  return { path, identity: `${found.dev}:${found.ino}:${found.birthtimeNs}`, ageMs }
}

/** A lock file in one turn of the event loop: updates that begin, or get their locks, together look once. */
interface Lock {
  path: string
  /** Before an update. If it was there earlier in the turn, and still is when the lock is held, it was there all the time. */
  before?: { seen: LockSeen | undefined }
  /** As a rule a group of updates holds it for one turn. */
  wasLookedAt: boolean
}

/** By the paths of their indexes. */
let locksInThisTurn: Map<string, Lock> | undefined

function lockOf(indexPath: string): Lock {
  if (locksInThisTurn === undefined) {
    locksInThisTurn = new Map()
    setImmediate(() => {
      locksInThisTurn = undefined
    })
  }
  const known = locksInThisTurn.get(indexPath)
  if (known) return known
  const path = join(dirname(indexPath), `.${basename(indexPath)}.lock`)
  const lock = { path, wasLookedAt: false }
  locksInThisTurn.set(indexPath, lock)
  return lock
}

function lookBefore(lock: Lock): LockSeen | undefined {
  lock.before ??= { seen: look(lock.path) }
  return lock.before.seen
}

/** The lock file that this process holds, if it has not been looked at. */
function lookHeld(lock: Lock): LockSeen | undefined {
  if (lock.wasLookedAt) return undefined
  lock.wasLookedAt = true
  return look(lock.path)
}

export interface LockWatch {
  readonly indexPath: string
  /** Whether the update's function has run. */
  readonly wasHeld: boolean
  /** To be called in the update's function, while the lock is held. */
  held(): void
  /** The lock file, if a killed holder left it. */
  readonly takenOver: LockSeen | undefined
}

/** To be called before an update. */
export function watchLock(indexPath: string): LockWatch {
  const before = lookBefore(lockOf(indexPath))
  let takenOver: LockSeen | undefined
  let wasHeld = false
  return {
    indexPath,
    get wasHeld() {
      return wasHeld
    },
    held() {
      wasHeld = true
      const now = lookHeld(lockOf(indexPath))
      if (!now || now.identity === held.get(now.path)) return
      held.set(now.path, now.identity)
      takenOver = now.identity === before?.identity ? now : undefined
    },
    get takenOver() {
      return takenOver
    },
  }
}
